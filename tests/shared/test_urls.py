import pytest

from shared import urls
from shared.errors import BadInputError

PUBLIC = {"pod.example": ["93.184.215.14"], "cdn.example": ["2606:2800:21f:cb07::1"]}


def resolve(host: str) -> list[str]:
    return PUBLIC.get(host, [host.strip("[]")])


def check(host: str) -> None:
    urls.check_host(host, resolve)


@pytest.mark.parametrize(
    "url",
    ["file:///etc/passwd", "ftp://a.example/b", "concat:a|b", "data:audio/mp3,x", "", "talk.mp3", "http://", "http:///x",
     "http://[::1", "http://a.example:99999/", "ytsearch:cats"],
)  # fmt: skip
def test_only_http_addresses_with_a_host_are_fetched(url: str):
    with pytest.raises(BadInputError):
        urls.check_url(url)


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "0.0.0.0", "100.64.0.1", "224.0.0.1",
     "255.255.255.255", "::1", "::", "fe80::1%eth0", "fc00::1", "ff02::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1",
     "64:ff9b::a9fe:a9fe", "2002:7f00:1::"],
)  # fmt: skip
def test_private_addresses_are_not_public_however_they_are_written(address: str):
    assert not urls.is_public(address)


@pytest.mark.parametrize("address", ["93.184.215.14", "8.8.8.8", "2606:2800:21f:cb07::1", "::ffff:8.8.8.8"])
def test_public_addresses_are_public(address: str):
    assert urls.is_public(address)


def test_a_host_is_refused_if_one_of_its_addresses_is_private():
    with pytest.raises(BadInputError, match="INGEST_PRIVATE_NETWORKS"):
        urls.check_host("both.example", lambda host: ["93.184.215.14", "10.0.0.1"])


def test_redirects_are_followed_and_each_hop_is_checked():
    hops = {"http://pod.example/1": "/2", "http://pod.example/2": "https://cdn.example/talk.mp3"}

    assert urls.follow("http://pod.example/1", hops.get, check) == "https://cdn.example/talk.mp3"


@pytest.mark.parametrize(
    "target", ["http://127.0.0.1/", "http://169.254.169.254/latest", "file:///etc/passwd", "//[::1]/"]
)
def test_a_redirect_into_a_private_network_or_another_scheme_is_refused_before_it_is_asked(target: str):
    asked = []

    def redirect(url: str) -> str | None:
        asked.append(url)
        return target

    with pytest.raises(BadInputError):
        urls.follow("http://pod.example/1", redirect, check)
    assert asked == ["http://pod.example/1"]


def test_a_circle_of_redirects_ends():
    with pytest.raises(BadInputError, match="redirects more than 10 times"):
        urls.follow("http://pod.example/1", lambda url: "/1", check)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://ann:pw@pod.example/feed?token=abc&n=3", "https://***@pod.example/feed?token=***&n=3"),
        ("https://youtube.com/watch?v=dQw4w9WgXcQ&t=3", "https://youtube.com/watch?v=dQw4w9WgXcQ&t=3"),
        ("https://s3.example/a?X-Amz-Signature=ab&X-Amz-Date=1", "https://s3.example/a?X-Amz-Signature=***&X-Amz-Date=***"),
        ("https://a.example/b?u=0123456789abcdef0123456789abcdef#frag", "https://a.example/b?u=***"),
        ("https://a.example/b?api_key=1&monkey=2&key=3&auth=4", "https://a.example/b?api_key=***&monkey=2&key=***&auth=***"),
    ],
)  # fmt: skip
def test_secrets_in_urls_are_hidden(url: str, shown: str):
    assert urls.redact(url) == shown


def test_secrets_in_urls_inside_a_message_are_hidden():
    message = "Unable to download 'https://ann:pw@pod.example/x?sig=abc' (caused by HTTP Error 403)"

    assert (
        urls.redact_text(message) == "Unable to download 'https://***@pod.example/x?sig=***' (caused by HTTP Error 403)"
    )


def test_secrets_of_the_url_are_hidden_also_where_they_stand_alone():
    hide = urls.hider("https://ann:p%40ssword@pod.example/busy?token=s3c%2Fret&n=1000")

    assert (
        hide("[generic] busy?token=s3c%2Fret: s3c/ret, p@ssword and 1000")
        == "[generic] busy?token=***: ***, *** and 1000"
    )


@pytest.mark.parametrize(
    ("url", "lent"),
    [
        ("https://pod.example/1.mp3", "https://ann:pw@pod.example/1.mp3"),
        ("https://pod.example:443/1.mp3", "https://ann:pw@pod.example:443/1.mp3"),
        ("http://pod.example/1.mp3", "http://pod.example/1.mp3"),
        ("https://pod.example:8443/1.mp3", "https://pod.example:8443/1.mp3"),
        ("https://cdn.pod.example/1.mp3", "https://cdn.pod.example/1.mp3"),
        ("https://bob@pod.example/1.mp3", "https://bob@pod.example/1.mp3"),
        ("https://[oops/1.mp3", "https://[oops/1.mp3"),
    ],
)
def test_user_and_password_go_along_within_one_origin_only(url: str, lent: str):
    assert urls.lend_credentials("https://ann:pw@pod.example/feed.xml", url) == lent


def test_a_redirect_keeps_the_password_within_its_server_and_loses_it_elsewhere():
    hops = {
        "http://ann:pw@pod.example/1": "http://pod.example/2",
        "http://ann:pw@pod.example/2": "http://cdn.example/3",
    }

    assert urls.follow("http://ann:pw@pod.example/1", hops.get, check) == "http://cdn.example/3"


def test_a_redirect_to_nonsense_is_refused():
    with pytest.raises(BadInputError, match="not a valid URL"):
        urls.follow("http://pod.example/1", lambda url: "http://[oops/", check)
