"""What only adverts say."""

from __future__ import annotations

from shared.adverts import advert_words


def test_an_advert_is_known_by_its_phrases():
    said = "Thanks to our sponsor. Use code MARA for 20% off, or 10 percent off at checkout. Brought to you by Hum."

    assert advert_words(said) == (
        *("our sponsor", "use code", "20% off", "10 percent off", "at checkout", "brought to you by"),
    )


def test_talk_of_money_and_sponsors_is_no_advert():
    said = "The NASA-sponsored panel had a discount. Companies have sponsored the technology. He cut 20% of it off."

    assert advert_words(said) == ()
