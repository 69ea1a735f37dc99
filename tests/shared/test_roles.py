from shared import roles
from shared.schemas import Role


def test_the_host_is_found_by_name_and_the_other_of_two_is_the_guest():
    found, warnings = roles.assign_roles(("Ben Marsh", "mara  quill"), host="Mara Quill", guest=None)

    assert found == {"Ben Marsh": Role.GUEST, "mara  quill": Role.HOST}
    assert warnings == []


def test_a_first_name_is_enough_where_only_one_speaker_has_it():
    assert roles.match_name("Mara Quill", ("Mara", "Ben")) == "Mara"
    assert roles.match_name("Mara Quill", ("Dr. Mara Quill", "Ben")) == "Dr. Mara Quill"
    assert roles.match_name("Mara Quill", ("Mara", "Quill")) is None


def test_without_the_hosts_name_all_roles_are_unknown_and_the_warning_names_the_speakers():
    found, warnings = roles.assign_roles(("Ann", "Bob"), host="Mara Quill", guest="Bob")

    assert set(found.values()) == {Role.UNKNOWN}
    assert "'Mara Quill'" in warnings[0]
    assert "Ann, Bob" in warnings[0]


def test_among_many_only_the_named_guest_is_the_guest_and_the_others_are_named():
    found, warnings = roles.assign_roles(("Mara", "Ann", "Bob", "Cy"), host="Mara Quill", guest="Bob")

    assert found == {"Mara": Role.HOST, "Ann": Role.OTHER, "Bob": Role.GUEST, "Cy": Role.OTHER}
    assert warnings == ["4 speakers; neither host nor guest: Ann, Cy"]


def test_a_talk_of_one_has_a_host_alone():
    assert roles.assign_roles(("Mara Quill",), host="Mara Quill", guest=None) == ({"Mara Quill": Role.HOST}, [])


def test_the_guests_name_is_taken_from_the_speakers_where_nobody_gave_it():
    assert roles.sole_guest(("Mara Quill", "Ben Marsh"), "Mara Quill") == "Ben Marsh"
    assert roles.sole_guest(("Mara Quill", "Ann", "Bob"), "Mara Quill") is None
    assert roles.sole_guest(("Ann", "Bob"), "Mara Quill") is None
