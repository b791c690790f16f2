from experiments.gallery import PICTURED, page, sounds_of
from experiments.ship import FOLDER


def test_the_page_of_sounds_is_that_of_the_cards():
    assert (FOLDER / "README.md").read_text(encoding="utf-8") == page(FOLDER)


def test_every_sound_has_its_words_on_a_card():
    told = {name for card in FOLDER.glob("*.md") for name in sounds_of(card)}
    assert told == {path.name for path in (FOLDER / "sounds").iterdir()}
    assert {f"{name}.flac" for name in PICTURED} <= told
