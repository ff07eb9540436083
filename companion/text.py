r"""Text as data: a text to learn from, numbers for its characters, and what counting can do.

:func:`help_topics` returns texts and :func:`split_topics` divides them for training, validation and
test. A :class:`Vocabulary` turns characters, or other tokens, into numbers and back.
:func:`count_ngrams` and :func:`ngram_probabilities` predict a character by counting which ones came
after the same few characters: what every language model should be compared with.
"""

import functools
import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from companion.data import packaged


def help_topics() -> dict[str, str]:
    r"""Load what Python's ``help()`` prints on its topics.

    Tables and grammar rules are left out, and what one topic repeats of another stands in one of
    them only. All is plain ASCII. It does not depend on the Python that runs.

    Returns:
        The text of each topic by its name, in the order of the names; 77 of them, together
        317,113 characters. ``"\n\n".join(help_topics().values())`` is one text.

    Raises:
        FileNotFoundError: if the package's file is missing.
        ValueError: if the file is cut short or is not what it should be.

    Example:
        >>> topics = help_topics()
        >>> len(topics), topics["break"][:21]
        (77, 'The "break" statement')

    Reference:
        The Python Language Reference, version 3.11, https://docs.python.org/3.11/reference/.
    """
    topics = packaged("help_topics.xz").decode("ascii").split("\f")
    return dict(topic.split("\n", 1) for topic in topics)


def _checked_split(function: Callable) -> Callable:
    """Refuse fractions that leave nothing for one of the three parts."""

    @functools.wraps(function)
    def checked(topics, seed=0, held_out=0.1):
        if not isinstance(topics, Mapping):
            raise TypeError(f"topics must be a mapping, got {type(topics).__name__}")
        if len(topics) < 3:
            raise ValueError(f"expected at least three topics, got {len(topics)}")
        if not 0 < held_out < 0.5:
            raise ValueError(f"held_out must be above 0 and below 0.5, got {held_out}")
        return function(topics, seed, held_out)

    return checked


@_checked_split
def split_topics(
    topics: Mapping[str, str], seed: int = 0, held_out: float = 0.1
) -> tuple[str, str, str]:
    """Divide texts, chosen at random, into a training, a validation and a test text.

    Whole topics are chosen: neighbouring sentences are too much alike to stand on both sides.

    Args:
        topics: texts by name.
        seed: decides which topic goes where; the order of ``topics`` does not matter.
        held_out: the share of all characters that validation and test get, each; they get topics
            until they have that much, so it may be more.

    Returns:
        Three texts: the topics of each part, in the order drawn, with an empty line in between.

    Raises:
        TypeError: if ``topics`` is no mapping.
        ValueError: if there are fewer than three topics, ``held_out`` is not between 0 and a half,
            or a part gets no topic.

    Example:
        >>> split_topics({"a": "one", "b": "two", "c": "ten"}, held_out=0.3)
        ('ten', 'one', 'two')
    """
    names = sorted(topics)
    generator = torch.Generator().manual_seed(seed)
    order = [names[i] for i in torch.randperm(len(names), generator=generator)]
    target = held_out * sum(len(text) for text in topics.values())
    parts = []
    for _ in range(2):  # the test, then the validation
        part = []
        while order and sum(len(topics[name]) for name in part) < target:
            part.append(order.pop())
        parts.append(part)
    if not order:
        raise ValueError(f"held_out = {held_out} leaves no topic for the training")
    test, validation = ("\n\n".join(topics[name] for name in part) for part in parts)
    return "\n\n".join(topics[name] for name in order), validation, test


class Vocabulary:
    """The tokens that there are, each with a number: characters, words or others.

    It cannot be changed. Two vocabularies of the same tokens are equal, whatever the order or the
    number of times in which they were given.

    Args:
        tokens: a text, for its characters, or several tokens; repeated ones count once. They are
            numbered in sorted order.
        special: tokens that come first, in this order, such as ``("<pad>", "<end>")``.

    Raises:
        TypeError: if a token is no string.
        ValueError: if there is no token, or a special one comes twice.

    Example:
        >>> vocabulary = Vocabulary("banana")
        >>> vocabulary.encode("nab"), len(vocabulary)
        (tensor([2, 0, 1]), 3)
        >>> vocabulary.decode([1, 0, 2])
        'ban'
        >>> Vocabulary(["one", "two"], special=["<pad>"]).encode(["two", "<pad>"])
        tensor([2, 0])
    """

    __slots__ = ("_numbers", "_tokens")

    def __init__(self, tokens: Iterable[str], special: Sequence[str] = ()) -> None:
        if isinstance(special, str):
            raise TypeError(f"special must be a list of tokens, got the string {special!r}")
        tokens = list(tokens)
        for token in (*special, *tokens):
            if not isinstance(token, str):
                raise TypeError(f"a token must be a string, got {token!r}")
        if len(set(special)) < len(special):
            raise ValueError(f"expected each special token once, got {list(special)!r}")
        ordered = (*special, *sorted(set(tokens) - set(special)))
        if not ordered:
            raise ValueError("expected at least one token, got none")
        object.__setattr__(self, "_tokens", ordered)
        object.__setattr__(self, "_numbers", {token: i for i, token in enumerate(ordered)})

    @property
    def tokens(self) -> tuple[str, ...]:
        """All tokens; the place of a token is its number."""
        return self._tokens

    def __len__(self) -> int:
        return len(self._tokens)

    def __contains__(self, token: object) -> bool:
        return token in self._numbers

    def encode(self, text: Iterable[str]) -> Int64[Tensor, " n"]:
        """Return the number of each token.

        Args:
            text: a text, whose characters are looked up, or several tokens.

        Raises:
            ValueError: if a token is unknown; it is named.
        """
        text = list(text)
        for place, token in enumerate(text):
            if token not in self._numbers:
                raise ValueError(f"expected known tokens, got {token!r} at place {place}")
        return torch.tensor([self._numbers[token] for token in text], dtype=torch.int64)

    def decode(self, numbers: Iterable[int] | Int64[Tensor, " n"], separator: str = "") -> str:
        """Return the tokens of these numbers, joined to one text.

        Args:
            numbers: a tensor with one axis, or integers.
            separator: what comes between two tokens, such as a space between words.

        Raises:
            ValueError: if there is no token of such a number.
        """
        if isinstance(numbers, Tensor):
            numbers = numbers.tolist()
        numbers = list(numbers)
        for number in numbers:
            if isinstance(number, bool) or not isinstance(number, int):
                raise ValueError(f"expected whole numbers, got {number!r}")
            if not 0 <= number < len(self):
                raise ValueError(f"expected numbers from 0 to {len(self) - 1}, got {number}")
        return separator.join(self._tokens[number] for number in numbers)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"a vocabulary cannot be changed: {name}")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"a vocabulary cannot be changed: {name}")

    def __reduce__(self) -> tuple:
        """Copy and pickle without setting attributes."""
        return type(self)._of, (self._tokens,)

    @classmethod
    def _of(cls, ordered: tuple[str, ...]) -> "Vocabulary":
        return cls((), special=ordered)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Vocabulary) and self._tokens == other._tokens

    def __hash__(self) -> int:
        return hash(self._tokens)

    def __repr__(self) -> str:
        return f"Vocabulary of {len(self)} tokens"


def _checked_order(function: Callable) -> Callable:
    """Refuse an order below 1."""

    @functools.wraps(function)
    def checked(text, n):
        if isinstance(n, bool) or not isinstance(n, int):
            raise TypeError(f"n must be an integer, got {n!r}")
        if n < 1:
            raise ValueError(f"n must be at least 1, got {n}")
        return function(text, n)

    return checked


@_checked_order
def count_ngrams(text: str, n: int) -> list[Counter]:
    """Count all runs of 1 … n characters.

    Args:
        text: a text.
        n: the length of the longest runs.

    Returns:
        A counter for each length, the shortest first.

    Raises:
        ValueError: if ``n`` is below 1.

    Example:
        >>> singles, pairs = count_ngrams("banana", 2)
        >>> pairs["an"], singles["b"]
        (2, 1)
    """
    lengths = range(1, n + 1)
    ends = {k: len(text) - k + 1 for k in lengths}
    return [Counter(text[i : i + k] for i in range(ends[k])) for k in lengths]


def _checked_counts(function: Callable) -> Callable:
    """Refuse what gives no probability to some character."""

    @functools.wraps(function)
    def checked(text, counts, size, prior=1.0, shorter=True):
        if not counts:
            raise ValueError("expected counts of at least one length, got none")
        priors = prior if isinstance(prior, Sequence) else [prior] * len(counts)
        if len(priors) != len(counts):
            raise ValueError(f"expected {len(counts)} priors, got {len(priors)}")
        for number in priors:
            if not (number > 0 and math.isfinite(number)):
                raise ValueError(f"prior must be positive, got {number}")
        if size < len(counts[0]):
            raise ValueError(f"size must be at least {len(counts[0])}, got {size}")
        return function(text, counts, size, priors, shorter)

    return checked


@_checked_counts
def ngram_probabilities(
    text: str,
    counts: list[Counter],
    size: int,
    prior: float | Sequence[float] = 1.0,
    shorter: bool = True,
) -> Float[Tensor, " m"]:
    r"""Probability of each character of a text, by what came after the same n − 1 characters.

    .. math:: p_n(c \mid s) = \frac{N(sc) + k\, q(c)}{N(s \cdot) + k}

    :math:`N(s \cdot)` is how often anything came after :math:`s`, and :math:`k\, q` is what is
    believed before counting: either :math:`q` is :math:`p_{n-1}`, the belief of a memory that is a
    character shorter (and :math:`p_0` is the same for all), or it is the same for all characters.

    Args:
        text: what is to be predicted.
        counts: of the training text, from :func:`count_ngrams`.
        size: of the vocabulary.
        prior: :math:`k`; or one for each length, the shortest first. With ``shorter=False``,
            ``prior=size`` adds one to each count.
        shorter: whether :math:`q` comes from shorter runs.

    Returns:
        Probabilities in float64, one for each character from the n-th on; none of them is 0.

    Raises:
        ValueError: if ``prior`` is not positive or has another length than ``counts``, or ``size``
            is less than the characters counted.

    Example:
        >>> ngram_probabilities("na", count_ngrams("banana", 2), size=3)  # after n: always a
        tensor([0.8254], dtype=torch.float64)

    Reference:
        MacKay and Peto, "A Hierarchical Dirichlet Language Model" (1995),
        doi:10.1017/S1351324900000218, section 3.
    """
    ends = range(len(counts) - 1, len(text))
    q = torch.full((len(ends),), 1 / size, dtype=torch.float64)
    for n, (runs, k) in enumerate(zip(counts, prior, strict=True), start=1):
        if n < len(counts) and not shorter:
            continue
        after = Counter()
        for run, count in runs.items():
            after[run[:-1]] += count
        seen = [text[i - n + 1 : i + 1] for i in ends]
        whole = torch.tensor([runs[run] for run in seen]).double()
        start = torch.tensor([after[run[:-1]] for run in seen]).double()
        q = (whole + k * q) / (start + k)
    return q
