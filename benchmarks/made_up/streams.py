"""Streams of two domains in which an item's text tells who takes it: songs by artists, and news on topics.

They are made up, so they prove nothing about music or news. They show what becomes of names and words where these
matter: thousands of items that nobody took before, of artists and topics that users are known to follow.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from instep.domain import Item
from instep.evaluate import Rows, Stream, arrange

START: Final = 1.5e9
_FIRST_NAMES: Final = (
    "Anna Bela Cora Dan Eli Fritz Gus Hana Ivo Jun Kai Lena Mina Nils Otto Pia Rosa Sven Tara Ugo"
)
_LAST_NAMES: Final = (
    "Adler Bloom Castro Doyle Ekman Grant Hughes Ito Jansen Lopez Moreau Novak Olsen Petrov Rossi"
)
_WORDS: Final = "love night river fire blue heart summer road dance rain golden dream city moon wild shadow"
_GENRES: Final = "folk techno jazz metal ambient salsa country punk opera gospel"
ARTISTS, SONGS = 300, 25
TOPICS: Final = {
    "sport": "football coach match league goal team striker final",
    "politics": "parliament minister vote election party senate law treaty",
    "technology": "software chip startup robot browser phone battery cloud",
    "health": "vaccine hospital doctor diet sleep virus therapy surgery",
    "money": "market shares bank inflation loan budget trade tax",
    "film": "actor festival premiere director sequel studio script award",
    "weather": "storm flood heatwave snow forecast drought wind ice",
    "crime": "police court murder theft trial prison fraud judge",
    "travel": "airline beach hotel island visa tourist cruise museum",
    "food": "recipe chef restaurant wine cheese vegan baking harvest",
}
DAYS, ARTICLES, NEWEST = 16, 3000, 600


@dataclass
class _Acts:
    """Events as they are made, in any order."""

    users: list[str] = field(default_factory=list)
    items: list[str] = field(default_factory=list)
    times: list[float] = field(default_factory=list)

    def add(self, user: int, item: str, time: float) -> None:
        """One act."""
        self.users.append(f"u{user}")
        self.items.append(item)
        self.times.append(time)

    def stream(self, name: str, catalogue: dict[str, Item], events: int, seed: int) -> Stream:
        """The first of them by time, and what is known of the items."""
        first = np.argsort(self.times, kind="stable")[:events]
        rows = Rows(
            [self.users[at] for at in first],
            [self.items[at] for at in first],
            np.array(self.times)[first],
            np.ones(len(first)),
            ["click"] * len(first),
        )
        return arrange(name, rows, catalogue, seed)


def _drawn(random: np.random.Generator, weights: NDArray[np.float64]) -> int:
    return int(random.choice(len(weights), p=weights / weights.sum()))


def songs(seed: int, events: int = 20_000) -> Stream:
    """Listeners who follow some artists, several songs by one artist at a time; 7,500 songs with their artist's name.

    Args:
        seed: of the order of ties; the stream is the same.
        events: how many.
    """
    random = np.random.default_rng(0)
    names = [f"{first} {last}" for first in _FIRST_NAMES.split() for last in _LAST_NAMES.split()]
    words, genres = _WORDS.split(), _GENRES.split()
    genre = random.integers(len(genres), size=ARTISTS)
    fame = random.zipf(1.5, ARTISTS).clip(1, 200).astype(float)
    catalogue = {
        f"s{artist}-{song}": Item(
            f"s{artist}-{song}",
            title=" ".join(random.choice(words, 2, replace=False)).title(),
            categories=(genres[genre[artist]],),
            author=names[artist],
        )
        for artist in range(ARTISTS)
        for song in range(SONGS)
    }
    acts, now = _Acts(), START
    heard: list[set[tuple[int, int]]] = []
    followed: list[NDArray[np.int64]] = []
    while len(acts.times) < events:
        now += random.exponential(60.0)
        if heard and random.random() < 0.7:
            user = int(random.integers(len(heard)))
        else:
            user = len(heard)
            liked = fame * np.where(np.isin(genre, random.integers(len(genres), size=2)), 8.0, 0.3)
            heard.append(set())
            followed.append(random.choice(ARTISTS, 12, p=liked / liked.sum()))
        time = now
        for _ in range(1 + random.geometric(0.5)):
            artist = int(random.choice(followed[user]))
            if random.random() < 0.3:
                artist = _drawn(random, fame * (genre == genre[followed[user][0]]))
            for _ in range(random.geometric(0.3)):
                left = [song for song in range(SONGS) if (artist, song) not in heard[user]]
                if not left:
                    break
                song = left[_drawn(random, 1.0 / (np.array(left) + 1.5) ** 0.7)]
                heard[user].add((artist, song))
                acts.add(user, f"s{artist}-{song}", time)
                time += random.exponential(200.0)
    return acts.stream("songs", catalogue, events, seed)


def news(seed: int, events: int = 30_000) -> Stream:
    """Readers with a few topics; an article's interest fades within hours, and its title tells the topic in four words.

    Args:
        seed: of the order of ties; the stream is the same.
        events: how many.
    """
    random = np.random.default_rng(0)
    names, seconds = list(TOPICS), DAYS * 86_400.0
    born = np.sort(random.uniform(0.0, seconds, ARTICLES))
    topic = random.integers(len(names), size=ARTICLES)
    interest, lasting = random.lognormal(0.0, 1.0, ARTICLES), 3600.0 * random.lognormal(1.6, 0.7, ARTICLES)
    catalogue = {
        f"n{article}": Item(
            f"n{article}",
            title=" ".join(random.choice(TOPICS[names[topic[article]]].split(), 4, replace=False)),
            published_at=START + float(born[article]),
        )
        for article in range(ARTICLES)
    }
    acts, now = _Acts(), float(born[20])
    read: list[set[int]] = []
    taste: list[NDArray[np.float64]] = []
    while len(acts.times) < events:
        now += random.exponential(3.0 * seconds / events)
        known = int(np.searchsorted(born, now))
        first = max(0, known - NEWEST)
        draw = interest[first:known] * np.exp(-(now - born[first:known]) / lasting[first:known])
        if read and random.random() < 0.6:
            user = int(random.integers(max(0, len(read) - 4000), len(read)))
        else:
            user = len(read)
            read.append(set())
            taste.append(random.dirichlet(np.full(len(names), 0.15)))
        time = now
        for _ in range(1 + random.geometric(0.45)):
            weights = draw * (0.1 + 12.0 * taste[user][topic[first:known]])
            weights[[article - first for article in read[user] if article >= first]] = 0.0
            if weights.sum() <= 0.0:
                break
            article = first + _drawn(random, weights)
            read[user].add(article)
            acts.add(user, f"n{article}", START + time)
            time += random.exponential(60.0)
    used = set(acts.items)
    return acts.stream("news", {name: item for name, item in catalogue.items() if name in used}, events, seed)
