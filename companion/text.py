r"""Text as data: texts to learn from, numbers for what is in them, and what counting can do.

:func:`help_topics` returns texts and :func:`split_topics` divides them for training, validation and
test; :func:`interface_texts` and :func:`split_texts` do so with texts and their translations.
:func:`text_tokens` cuts such texts into words and Chinese characters; :func:`common_tokens` and
:func:`mark_unknown` leave out the rare ones, and :func:`nearest_texts` looks up what is most alike.

A :class:`Vocabulary` turns characters, or other tokens, into numbers and back.
:func:`count_ngrams` and :func:`ngram_probabilities` predict a character by counting which ones came
after the same few characters: what every language model should be compared with.
"""

import functools
import math
import re
from collections import Counter
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from itertools import pairwise

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from companion.data import packaged

_CHINESE = "\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_WORD = rf"[^\W_{_CHINESE}]+"  # a run of letters and digits
_TOKEN = re.compile(rf"%\d+|\.{{3}}|[{_CHINESE}]|{_WORD}(?:'{_WORD})*|\S")


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


def interface_texts() -> list[tuple[str, str]]:
    """Load short texts of user interfaces, each in English and in simplified Chinese.

    They are what JupyterLab and Wagtail, a program to write web pages with, say on their buttons
    and menus and in messages. No two English texts have the same letters and digits. ``%1``,
    ``%2``, … are placeholders: a name or a number will stand there.

    Returns:
        3,670 pairs (English, Chinese), in the order of the English texts; up to 16 and up to 30
        tokens of :func:`text_tokens`.

    Raises:
        FileNotFoundError: if the package's file is missing.
        ValueError: if the file is cut short or is not what it should be.

    Example:
        >>> pairs = interface_texts()
        >>> len(pairs), dict(pairs)["Toggle Comment"]
        (3670, '切换注释')

    Reference:
        Project Jupyter's language packs, https://github.com/jupyterlab/language-packs, and
        Wagtail, https://github.com/wagtail/wagtail.
    """
    lines = packaged("interface_texts.xz").decode("utf-8").split("\n")
    return [tuple(line.split("\t")) for line in lines]


def _checked_text_split(function: Callable) -> Callable:
    """Refuse what are no pairs of texts, and fractions that leave nothing for one of the parts."""

    @functools.wraps(function)
    def checked(pairs, seed=0, held_out=0.1):
        if isinstance(pairs, str | Mapping) or not isinstance(pairs, Iterable):
            raise TypeError(f"pairs must be a list of pairs, got {type(pairs).__name__}")
        pairs = list(pairs)
        for pair in pairs:
            texts = pair if isinstance(pair, tuple | list) else ()
            if len(texts) != 2 or not all(isinstance(text, str) for text in texts):
                raise TypeError(f"expected pairs of two strings, got {pair!r}")
        if not 0 < held_out < 0.5:
            raise ValueError(f"held_out must be above 0 and below 0.5, got {held_out}")
        return function(pairs, seed, held_out)

    return checked


@_checked_text_split
def split_texts(
    pairs: Iterable[Sequence[str]], seed: int = 0, held_out: float = 0.1
) -> tuple[list[tuple[str, str]], list[tuple[str, str]], list[tuple[str, str]]]:
    """Divide pairs of texts, chosen at random, for training, validation and test.

    Pairs stay together if their first or their second texts have the same letters and digits in
    the same order, upper or lower case: nothing is asked in a test whose answer is known.

    Args:
        pairs: a text and its translation, each.
        seed: decides which pair goes where; the order of ``pairs`` does not matter.
        held_out: the share of all pairs that validation and test get, each; they get pairs until
            they have that many, so it may be more.

    Returns:
        The pairs for training, for validation and for test, in the order drawn.

    Raises:
        TypeError: if ``pairs`` are no pairs of strings.
        ValueError: if ``held_out`` is not between 0 and a half, or a part gets no pair.

    Example:
        >>> pairs = [("Undo", "撤销"), ("Tags", "标签"), ("Tag", "标签"), ("Save", "保存")]
        >>> split_texts(pairs, seed=1)  # both of one translation come together
        ([('Tag', '标签'), ('Tags', '标签')], [('Undo', '撤销')], [('Save', '保存')])
    """
    pairs = sorted(tuple(pair) for pair in pairs)
    keys = [tuple("".join(filter(str.isalnum, text.lower())) for text in pair) for pair in pairs]
    above = {}  # of each text another one of its group, but for the first of the group

    def first(text):
        while text in above:
            text = above[text]
        return text

    for key in keys:
        one, other = (first(text) for text in enumerate(key))  # 0 or 1 tells the languages apart
        if one != other:
            above[one] = other
    groups = {}
    for pair, key in zip(pairs, keys, strict=True):
        groups.setdefault(first((0, key[0])), []).append(pair)
    groups = list(groups.values())
    generator = torch.Generator().manual_seed(seed)
    order = [groups[i] for i in torch.randperm(len(groups), generator=generator)]
    parts = []
    for _ in range(2):  # the test, then the validation
        part = []
        while order and len(part) < held_out * len(pairs):
            part += order.pop()
        parts.append(part)
    if not order:
        raise ValueError(f"held_out = {held_out} of {len(pairs)} leaves no pair for the training")
    test, validation = parts
    return [pair for group in order for pair in group], validation, test


def _checked_one_text(function: Callable) -> Callable:
    """Refuse what is no text."""

    @functools.wraps(function)
    def checked(text):
        if not isinstance(text, str):
            raise TypeError(f"text must be a string, got {type(text).__name__}")
        return function(text)

    return checked


@_checked_one_text
def text_tokens(text: str) -> list[str]:
    """Cut a text into words, Chinese characters, marks and placeholders, in lower case.

    Args:
        text: in English, Chinese or both.

    Returns:
        The tokens. A word is a run of letters and digits, and may have apostrophes inside; each
        Chinese character, a placeholder such as ``%1`` and three dots are one token, and so is each
        other character. Spaces are left out.

    Raises:
        TypeError: if ``text`` is no string.

    Example:
        >>> text_tokens("Can't rename '%1'...")
        ["can't", 'rename', "'", '%1', "'", '...']
        >>> text_tokens("将 Markdown 渲染")
        ['将', 'markdown', '渲', '染']
    """
    return _TOKEN.findall(text.lower())


def _checked_token_lists(function: Callable) -> Callable:
    """Refuse strings where lists of tokens are expected, and numbers of times below 1."""

    @functools.wraps(function)
    def checked(token_lists, at_least=2):
        token_lists = list(token_lists)
        for tokens in token_lists:
            if isinstance(tokens, str):
                raise TypeError(f"expected lists of tokens, got the string {tokens!r}")
        if isinstance(at_least, bool) or not isinstance(at_least, int):
            raise TypeError(f"at_least must be an integer, got {at_least!r}")
        if at_least < 1:
            raise ValueError(f"at_least must be at least 1, got {at_least}")
        return function(token_lists, at_least)

    return checked


@_checked_token_lists
def common_tokens(token_lists: Iterable[Iterable[str]], at_least: int = 2) -> set[str]:
    """Return the tokens that come so many times in all lists together.

    Args:
        token_lists: the tokens of each text.
        at_least: how many times.

    Raises:
        TypeError: if one of the lists is a string, or ``at_least`` is no integer.
        ValueError: if ``at_least`` is below 1.

    Example:
        >>> sorted(common_tokens([["open", "file"], ["close", "file"], ["open", "tab"]]))
        ['file', 'open']
    """
    counts = Counter(token for tokens in token_lists for token in tokens)
    return {token for token, count in counts.items() if count >= at_least}


def _checked_marking(function: Callable) -> Callable:
    """Refuse strings where tokens are expected: each letter would be looked up."""

    @functools.wraps(function)
    def checked(tokens, known, mark="<unk>"):
        for name, value in (("tokens", tokens), ("known", known)):
            if isinstance(value, str):
                raise TypeError(f"{name} must hold tokens, got the string {value!r}")
        if not isinstance(mark, str):
            raise TypeError(f"mark must be a string, got {mark!r}")
        return function(tokens, known, mark)

    return checked


@_checked_marking
def mark_unknown(tokens: Iterable[str], known: Container[str], mark: str = "<unk>") -> list[str]:
    """Put a mark in the place of each token that is not known.

    Args:
        tokens: of a text.
        known: a set of tokens, such as :func:`common_tokens` returns, or a :class:`Vocabulary`.
        mark: what stands for all the others.

    Raises:
        TypeError: if ``tokens`` or ``known`` is a string, or ``mark`` is none.

    Example:
        >>> mark_unknown(["open", "the", "file"], known={"open", "file"})
        ['open', '<unk>', 'file']
    """
    return [token if token in known else mark for token in tokens]


def _checked_lookup(function: Callable) -> Callable:
    """Refuse an empty question, and more answers than there are texts."""

    @functools.wraps(function)
    def checked(tokens, texts, n=1):
        if isinstance(texts, str) or not isinstance(texts, Sequence):
            raise TypeError(f"texts must be a list, got {type(texts).__name__}")
        for value in (tokens, *texts):
            if isinstance(value, str) or not isinstance(value, Sequence):
                raise TypeError(f"expected lists of tokens, got {value!r}")
        if not tokens:
            raise ValueError("expected at least one token, got none")
        if isinstance(n, bool) or not isinstance(n, int):
            raise TypeError(f"n must be an integer, got {n!r}")
        if not 1 <= n <= len(texts):
            raise ValueError(f"n must be from 1 to {len(texts)}, the number of texts, got {n}")
        return function(tokens, texts, n)

    return checked


@_checked_lookup
def nearest_texts(
    tokens: Sequence[str], texts: Sequence[Sequence[str]], n: int = 1
) -> list[tuple[int, float]]:
    r"""Find the texts that share most with a text: what a translator's memory does.

    .. math:: s(x, y) = \frac{2 \sum_g \min(N_x(g), N_y(g))}{\sum_g (N_x(g) + N_y(g))}

    :math:`N_x(g)` is how often :math:`g` comes in :math:`x`; :math:`g` goes through all tokens and
    all pairs of neighbouring tokens.

    Args:
        tokens: of the text that is looked up.
        texts: the tokens of each text there is.
        n: how many are wanted.

    Returns:
        The places of the nearest in ``texts`` and how near they are: 1 for the same text, 0 for
        nothing shared. The nearest comes first; of two that are as near, the one that stands first.

    Raises:
        TypeError: if a text is no list of tokens, or ``n`` is no integer.
        ValueError: if there is no token, or ``n`` is not from 1 to the number of texts.

    Example:
        >>> memory = [["close", "all"], ["open", "the", "file"], ["close", "the", "tab"]]
        >>> nearest_texts(["close", "the", "file"], memory)
        [(1, 0.6)]

    Reference:
        Dice, "Measures of the Amount of Ecologic Association Between Species" (1945),
        doi:10.2307/1932409: the measure, for sets.
    """

    def runs(tokens):
        return Counter([*tokens, *pairwise(tokens)])

    x, wanted, near = runs(tokens), set(tokens), []
    for text in texts:
        if wanted.isdisjoint(text):  # true of most: so much counting is saved
            near.append(0.0)
        else:
            y = runs(text)
            near.append(2 * (x & y).total() / (x.total() + y.total()))
    best = sorted(range(len(texts)), key=lambda i: -near[i])[:n]
    return [(i, near[i]) for i in best]


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
