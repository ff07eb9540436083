r"""From one sequence to another: encoder and decoder, search, and a score for translations.

:class:`Seq2Seq` reads a sequence of tokens into a state and writes another sequence from it.
:func:`greedy_search` and :func:`beam_search` look for a probable one with any function that gives
the next token's logits, and :func:`corpus_bleu` compares what was found with what is right.
:func:`english_date` and :func:`chinese_date` make a translation task with exact answers.
"""

import datetime
import functools
import math
import numbers
from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from companion.recurrent import LSTM

PAD, BOS, EOS = 0, 1, 2
SPECIAL = ("<pad>", "<bos>", "<eos>")
"""Padding, begin and end of a sequence: the first three tokens of each vocabulary."""


def _words(text: str) -> list[str]:
    return text.split()


_UNITS = _words(
    "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen "
    "sixteen seventeen eighteen nineteen"
)
_TENS = _words("twenty thirty forty fifty sixty seventy eighty ninety")
_ORDINALS = _words(
    "first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth "
    "fourteenth fifteenth sixteenth seventeenth eighteenth nineteenth"
)
_MONTHS = _words(
    "january february march april may june july august september october november december"
)
_DIGITS = "〇一二三四五六七八九"


def _below_hundred(n: int) -> list[str]:
    """Name a number from 1 to 99."""
    if n < 20:
        return [_UNITS[n - 1]]
    return [_TENS[n // 10 - 2], *([_UNITS[n % 10 - 1]] if n % 10 else [])]


def _year(year: int) -> list[str]:
    """Name a year from 1900 to 2099."""
    century, rest = divmod(year, 100)
    if century == 19:
        head = ["nineteen"]
        tail = ["hundred"] if rest == 0 else ["oh"] if rest < 10 else []
    else:
        head = ["two", "thousand"] if rest < 10 else ["twenty"]
        tail = ["and"] if 0 < rest < 10 else []
    return head + tail + (_below_hundred(rest) if rest else [])


def _day(day: int) -> list[str]:
    """Name the number of a day in its month."""
    if day < 20:
        return [_ORDINALS[day - 1]]
    if day % 10 == 0:
        return [_TENS[day // 10 - 2].removesuffix("y") + "ieth"]
    return [_TENS[day // 10 - 2], _ORDINALS[day % 10 - 1]]


def _checked_date(function: Callable) -> Callable:
    """Refuse what is no date from 1900 to 2099."""

    @functools.wraps(function)
    def checked(date, *args, **named):
        if not isinstance(date, datetime.date):
            raise TypeError(f"expected a datetime.date, got {date!r}")
        if not 1900 <= date.year <= 2099:
            raise ValueError(f"expected a year from 1900 to 2099, got {date.year}")
        return function(date, *args, **named)

    return checked


@_checked_date
def english_date(date: datetime.date, month_first: bool = False) -> str:
    """Write a date in English words.

    Args:
        date: from 1900 to 2099.
        month_first: True for the American order.

    Raises:
        TypeError: if it is no date.
        ValueError: if its year is not from 1900 to 2099.

    Example:
        >>> english_date(datetime.date(1987, 11, 23))
        'the twenty third of november nineteen eighty seven'
        >>> english_date(datetime.date(2005, 3, 1), month_first=True)
        'march the first two thousand and five'
    """
    month, day = [_MONTHS[date.month - 1]], ["the", *_day(date.day)]
    start = month + day if month_first else [*day, "of", *month]
    return " ".join(start + _year(date.year))


@_checked_date
def chinese_date(date: datetime.date) -> str:
    """Write a date in Chinese: the year digit by digit, month and day as numbers.

    Args:
        date: from 1900 to 2099.

    Raises:
        TypeError: if it is no date.
        ValueError: if its year is not from 1900 to 2099.

    Example:
        >>> chinese_date(datetime.date(1987, 11, 23))
        '一九八七年十一月二十三日'
        >>> chinese_date(datetime.date(2005, 3, 10))
        '二〇〇五年三月十日'
    """

    def number(n: int) -> str:
        tens, ones = divmod(n, 10)
        start = "" if tens == 0 else "十" if tens == 1 else _DIGITS[tens] + "十"
        return start + (_DIGITS[ones] if ones else "")

    year = "".join(_DIGITS[int(digit)] for digit in str(date.year))
    return f"{year}年{number(date.month)}月{number(date.day)}日"


def _checked_split(function: Callable) -> Callable:
    """Refuse to hold out more dates than there are."""

    @functools.wraps(function)
    def checked(held_out=1000, seed=0):
        if not isinstance(held_out, numbers.Integral) or isinstance(held_out, bool):
            raise TypeError(f"held_out must be a whole number, got {held_out!r}")
        if not 1 <= held_out < _COUNT / 2:
            raise ValueError(f"held_out must be from 1 to {(_COUNT - 1) // 2}, got {held_out}")
        return function(held_out, seed)

    return checked


_FIRST = datetime.date(1900, 1, 1)
_COUNT = (datetime.date(2099, 12, 31) - _FIRST).days + 1


@_checked_split
def split_dates(
    held_out: int = 1000, seed: int = 0
) -> tuple[list[datetime.date], list[datetime.date], list[datetime.date]]:
    """Divide the 73,049 days from 1900 to 2099 into training, validation and test.

    Args:
        held_out: how many days validation and test get, each.
        seed: decides which day goes where.

    Raises:
        TypeError: if ``held_out`` is no whole number.
        ValueError: if nothing is held out, or nothing is left.

    Example:
        >>> train, validation, test = split_dates(held_out=1000)
        >>> len(train), len(validation), len(test)
        (71049, 1000, 1000)
    """
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(_COUNT, generator=generator).tolist()
    dates = [_FIRST + datetime.timedelta(days=i) for i in order]
    return dates[2 * held_out :], dates[held_out : 2 * held_out], dates[:held_out]


def _checked_sequences(function: Callable) -> Callable:
    """Refuse an empty batch and empty sequences."""

    @functools.wraps(function)
    def checked(sequences):
        sequences = [torch.as_tensor(s) if len(s) else torch.zeros(0) for s in sequences]
        if not sequences:
            raise ValueError("expected at least one sequence, got none")
        for place, sequence in enumerate(sequences):
            if sequence.dim() != 1 or len(sequence) == 0:
                raise ValueError(
                    f"expected sequences of at least one token, got the shape "
                    f"{tuple(sequence.shape)} at place {place}"
                )
            if sequence.dtype != torch.int64:
                raise TypeError(f"tokens must be int64, got {sequence.dtype} at place {place}")
        return function(sequences)

    return checked


@_checked_sequences
def pad_tokens(
    sequences: Sequence[Int64[Tensor, " _"]],
) -> tuple[Int64[Tensor, "b t"], Int64[Tensor, " b"]]:
    """Put sequences of different lengths into one tensor, filled up with ``PAD`` at the end.

    Args:
        sequences: tensors or lists of token numbers.

    Returns:
        The tensor, and the length of each sequence.

    Raises:
        TypeError: if tokens are no whole numbers.
        ValueError: if there is no sequence, or an empty one.

    Example:
        >>> pad_tokens([torch.tensor([5, 6, 7]), torch.tensor([8])])
        (tensor([[5, 6, 7],
                [8, 0, 0]]), tensor([3, 1]))
    """
    lengths = torch.tensor([len(sequence) for sequence in sequences])
    return pad_sequence(sequences, batch_first=True, padding_value=PAD), lengths


@_checked_sequences
def decoder_batch(
    sequences: Sequence[Int64[Tensor, " _"]],
) -> tuple[Int64[Tensor, "b t"], Int64[Tensor, "b t"]]:
    """Make what a decoder reads and what it shall say, one place later.

    Args:
        sequences: the right answers, tensors or lists of token numbers.

    Returns:
        The answers with ``BOS`` in front, and with ``EOS`` behind; both padded.

    Raises:
        TypeError: if tokens are no whole numbers.
        ValueError: if there is no sequence, or an empty one.

    Example:
        >>> decoder_batch([torch.tensor([5, 6, 7]), torch.tensor([8])])
        (tensor([[1, 5, 6, 7],
                [1, 8, 0, 0]]), tensor([[5, 6, 7, 2],
                [8, 2, 0, 0]]))
    """
    bos, eos = torch.tensor([BOS]), torch.tensor([EOS])
    read = pad_tokens([torch.cat([bos, sequence.cpu()]) for sequence in sequences])[0]
    say = pad_tokens([torch.cat([sequence.cpu(), eos]) for sequence in sequences])[0]
    return read, say


@dataclass(frozen=True)
class Seq2SeqConfig:
    """The sizes of a :class:`Seq2Seq`.

    Attributes:
        source_size: of the source's vocabulary.
        target_size: of the target's.
        embedding: numbers for each token.
        hidden: numbers in a state.
        num_layers: of the encoder, and of the decoder.
        forget_bias: what the biases of the forget gates sum to at the start.

    Raises:
        TypeError: if a size is no whole number.
        ValueError: if a size is less than 1, or ``forget_bias`` not finite.
    """

    source_size: int
    target_size: int
    embedding: int = 64
    hidden: int = 128
    num_layers: int = 1
    forget_bias: float = 1.0

    def __post_init__(self) -> None:
        if not math.isfinite(self.forget_bias):
            raise ValueError(f"forget_bias must be finite, got {self.forget_bias}")
        for name, size in vars(self).items():
            if name == "forget_bias":
                continue
            if not isinstance(size, numbers.Integral) or isinstance(size, bool):
                raise TypeError(f"{name} must be a whole number, got {size!r}")
            if size < 1:
                raise ValueError(f"{name} must be at least 1, got {size}")


def _check_tokens(tokens: Tensor, size: int, axes: int) -> None:
    """Refuse tokens that the vocabulary does not have."""
    if tokens.dtype != torch.int64:
        raise TypeError(f"tokens must be int64, got {tokens.dtype}")
    if tokens.dim() != axes or tokens.numel() == 0:
        shape = "(b, t)" if axes == 2 else "(b,)"
        raise ValueError(f"expected tokens {shape}, got the shape {tuple(tokens.shape)}")
    least, most = (int(edge) for edge in tokens.aminmax())
    if least < 0 or most >= size:
        raise ValueError(
            f"expected tokens from 0 to {size - 1}, got {least if least < 0 else most}"
        )


State = Tensor | tuple  # a tensor (b, ...), or a tuple of states
Step = Callable[[Tensor, State], tuple[Tensor, State]]


class Seq2Seq(nn.Module):
    r"""Read a sequence into a state; write another one from it.

    .. math:: p(y \mid x) = \prod_t p(y_t \mid y_{<t}, s), \qquad s = \mathrm{encoder}(x)

    Encoder and decoder are a :class:`companion.recurrent.LSTM` each. The encoder's last state
    :math:`s = (h, c)`, of all layers, is the decoder's first one: that is all that the decoder
    learns of the source. The forget gates begin with a bias, so that the state lasts.

    Both parts of a state stand batch first, (b, num_layers, hidden).

    Args:
        config: the sizes.

    Raises:
        TypeError: when called, if tokens are not int64.
        ValueError: when called, if a token is not in the vocabulary, or shapes or lengths do not
            fit.

    Example:
        >>> model = Seq2Seq(Seq2SeqConfig(source_size=9, target_size=7))
        >>> source, lengths = pad_tokens([[3, 4, 5], [6]])
        >>> read, say = decoder_batch([[3, 4], [5]])
        >>> model(source, lengths, read).shape
        torch.Size([2, 3, 7])

    Reference:
        Sutskever, Vinyals and Le, "Sequence to Sequence Learning with Neural Networks" (2014),
        arXiv:1409.3215.
    """

    def __init__(self, config: Seq2SeqConfig) -> None:
        super().__init__()
        self.config = config
        sizes = config.embedding, config.hidden, config.num_layers
        self.source_embedding = nn.Embedding(config.source_size, config.embedding)
        self.target_embedding = nn.Embedding(config.target_size, config.embedding)
        self.encoder = LSTM(*sizes, batch_first=True)
        self.decoder = LSTM(*sizes, batch_first=True)
        self.head = nn.Linear(config.hidden, config.target_size)
        forget = slice(config.hidden, 2 * config.hidden)
        with torch.no_grad():
            for name, bias in self.named_parameters():
                if ".bias_" in name:
                    bias[forget] = config.forget_bias if ".bias_ih" in name else 0.0

    def encode(
        self, source: Int64[Tensor, "b s"], lengths: Int64[Tensor, " b"] | None = None
    ) -> State:
        """Return the state (h, c) after the last real token of each sequence.

        Args:
            source: tokens, padded at the end.
            lengths: how many of them are real; without it all are.
        """
        _check_tokens(source, self.config.source_size, 2)
        _, (h, c) = self.encoder(self.source_embedding(source), lengths=lengths)
        return h.transpose(0, 1), c.transpose(0, 1)

    def decode(
        self, tokens: Int64[Tensor, "b t"], state: State
    ) -> tuple[Float[Tensor, "b t v"], State]:
        """Return the logits of each next token, and the state after the last one.

        Args:
            tokens: what the decoder reads.
            state: from :meth:`encode` at the start, else what this method returned.
        """
        _check_tokens(tokens, self.config.target_size, 2)
        h, c = state
        first = h.transpose(0, 1), c.transpose(0, 1)
        out, (h, c) = self.decoder(self.target_embedding(tokens), first)
        return self.head(out), (h.transpose(0, 1), c.transpose(0, 1))

    def step(self, tokens: Int64[Tensor, " b"], state: State) -> tuple[Float[Tensor, "b v"], State]:
        """Return the next token's logits and the state: :meth:`decode` for one token each."""
        _check_tokens(tokens, self.config.target_size, 1)
        logits, state = self.decode(tokens[:, None], state)
        return logits[:, 0], state

    def forward(
        self,
        source: Int64[Tensor, "b s"],
        lengths: Int64[Tensor, " b"] | None,
        read: Int64[Tensor, "b t"],
    ) -> Float[Tensor, "b t v"]:
        """Return the logits at all places, the decoder reading ``read`` (teacher forcing)."""
        return self.decode(read, self.encode(source, lengths))[0]


def _take(state: State, rows: Tensor) -> State:
    """Return these rows of a state."""
    if isinstance(state, Tensor):
        return state.index_select(0, rows)
    return tuple(_take(part, rows) for part in state)


def _first(state: State) -> Tensor:
    """Return the first tensor of a state."""
    return state if isinstance(state, Tensor) else _first(state[0])


def _checked_search(function: Callable) -> Callable:
    """Refuse a search that cannot find anything."""

    @functools.wraps(function)
    def checked(step, state, *args, **named):
        limits = {"max_length": 100} | named
        if function.__name__ == "beam_search" and args:
            limits["width"] = args[0]
        for name in ("width", "max_length"):
            value = limits.get(name, 1)
            if not isinstance(value, numbers.Integral) or isinstance(value, bool):
                raise TypeError(f"{name} must be a whole number, got {value!r}")
            if value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        for name in ("bos", "eos"):
            token = limits.get(name, EOS)
            if not isinstance(token, numbers.Integral) or isinstance(token, bool) or token < 0:
                raise ValueError(f"{name} must be the number of a token, got {token!r}")
        if not math.isfinite(limits.get("length_penalty", 0.0)):
            raise ValueError(f"length_penalty must be finite, got {limits['length_penalty']}")
        with torch.no_grad():
            return function(step, state, *args, **named)

    return checked


@_checked_search
def greedy_search(
    step: Step, state: State, *, bos: int = BOS, eos: int = EOS, max_length: int = 100
) -> list[list[int]]:
    r"""Take the most probable token each time, until the end.

    .. math:: \hat y_t = \arg\max_v\, p(v \mid \hat y_{<t})

    Args:
        step: takes the last tokens (b,) and a state, and returns the next ones' logits (b, v) and
            the next state, such as :meth:`Seq2Seq.step`.
        state: a tensor (b, ...), or a tuple of such: b sequences are searched side by side.
        bos: the token that a sequence begins with.
        eos: the token that ends it.
        max_length: how many tokens, the end included, a sequence has at most.

    Returns:
        The tokens of each sequence, without begin and end.

    Raises:
        TypeError: if ``max_length`` is no whole number.
        ValueError: if it is less than 1.

    Example:
        >>> def count_down(tokens, state):  # after v comes v - 1; 0 is the end
        ...     return nn.functional.one_hot((tokens - 1).clamp(min=0), 6).float(), state
        >>> greedy_search(count_down, torch.zeros(1), bos=5, eos=0)
        [[4, 3, 2, 1]]
    """
    first = _first(state)
    token = torch.full((len(first),), bos, device=first.device)
    ended = torch.zeros_like(token, dtype=torch.bool)
    found = []
    for _ in range(max_length):
        logits, state = step(token, state)
        token = logits.argmax(-1)
        ended = ended | (token == eos)
        found.append(token.masked_fill(ended, -1))
        if ended.all():
            break
    rows = torch.stack(found, dim=1).tolist()
    return [[token for token in row if token >= 0] for row in rows]


class Hypothesis(NamedTuple):
    """A sequence that a search has found.

    Attributes:
        tokens: its tokens, without begin and end.
        log_probability: of all of them and, if it has ended, of the end; in nats.
        ended: whether it has ended, or was cut at the greatest length.
    """

    tokens: tuple[int, ...]
    log_probability: float
    ended: bool


@_checked_search
def beam_search(
    step: Step,
    state: State,
    width: int = 4,
    *,
    bos: int = BOS,
    eos: int = EOS,
    max_length: int = 100,
    length_penalty: float = 0.0,
) -> list[list[Hypothesis]]:
    r"""Go on with the most probable beginnings, a fixed number of them, until all have ended.

    At each place every beginning is extended by every token, and the ``width`` extensions with the
    greatest :math:`\log p(y_{\le t})` stay. One that has ended keeps its place and its
    probability. A width of 1 is :func:`greedy_search`; one that leaves nothing out finds the most
    probable sequence of all.

    Args:
        step: as for :func:`greedy_search`; it gets ``width`` rows for each sequence.
        state: as for :func:`greedy_search`.
        width: how many beginnings stay.
        bos: the token that a sequence begins with.
        eos: the token that ends it.
        max_length: how many tokens, the end included, a sequence has at most.
        length_penalty: :math:`\alpha`; what is found is put in the order of
            :math:`\log p(y) / |y|^\alpha`, where the end counts as a token. Above 0 it favours
            long sequences; 0 compares probabilities.

    Returns:
        For each sequence what was found, the best first: ``width`` hypotheses, or fewer where
        there are not so many.

    Raises:
        TypeError: if ``width`` or ``max_length`` is no whole number.
        ValueError: if one is less than 1, or ``length_penalty`` not finite.

    Example:
        >>> table = torch.tensor([[0.0, 0.6, 0.4], [0.7, 0.3, 0.0], [0.0, 0.0, 1.0]]).log()
        >>> step = lambda tokens, state: (table[tokens], state)  # 2 is the end
        >>> for h in beam_search(step, torch.zeros(1), width=3, bos=0, max_length=3)[0]:
        ...     print(h.tokens, round(math.exp(h.log_probability), 2), h.ended)
        () 0.4 True
        (1, 0, 1) 0.25 False
        (1, 0) 0.17 True

    Reference:
        Sutskever, Vinyals and Le (2014), arXiv:1409.3215, section 3.2; the exponent as in Wu et
        al., "Google's Neural Machine Translation System" (2016), arXiv:1609.08144, in its
        simplest form.
    """
    n, device = len(_first(state)), _first(state).device
    state = _take(state, torch.arange(n, device=device).repeat_interleave(width))
    tokens = torch.full((n, width, 1), bos, device=device)
    score = torch.full((n, width), -math.inf, device=device)
    score[:, 0] = 0  # all begin alike: one of them is enough
    ended = torch.zeros(n, width, dtype=torch.bool, device=device)
    for _ in range(max_length):
        logits, state = step(tokens[..., -1].flatten(), state)
        log_p = logits.log_softmax(-1).unflatten(0, (n, width))  # (n, width, v)
        stays = torch.full_like(log_p[0, 0], -math.inf)
        stays[eos] = 0  # one that has ended goes on with the end alone, at no cost
        log_p = torch.where(ended[..., None], stays, log_p)
        score, place = (score[..., None] + log_p).flatten(1).topk(width)
        parent, token = place // len(stays), place % len(stays)
        tokens = tokens.gather(1, parent[..., None].expand_as(tokens))
        tokens = torch.cat([tokens, token[..., None]], dim=-1)
        ended = ended.gather(1, parent) | (token == eos)
        rows = parent + width * torch.arange(n, device=device)[:, None]
        state = _take(state, rows.flatten())
        if (ended | score.isneginf()).all():
            break
    return [
        _ranked(*parts, eos, length_penalty)
        for parts in zip(tokens.tolist(), score.tolist(), ended.tolist(), strict=True)
    ]


def _ranked(
    tokens: list, score: list, ended: list, eos: int, length_penalty: float
) -> list[Hypothesis]:
    """Return what one beam holds, the best first; leave out what is impossible."""
    found = []
    for row, log_p, end in zip(tokens, score, ended, strict=True):
        row = row[1 : row.index(eos, 1)] if end else row[1:]
        if log_p > -math.inf:
            found.append(Hypothesis(tuple(row), log_p, end))
    found.sort(key=lambda h: -h.log_probability / (len(h.tokens) + h.ended) ** length_penalty)
    return found


class Bleu(NamedTuple):
    """What :func:`corpus_bleu` found.

    Attributes:
        score: from 0 to 1.
        precisions: the shares of runs of 1, 2, ... tokens that stand in a reference.
        brevity_penalty: less than 1 where the hypotheses are shorter than the references.
    """

    score: float
    precisions: tuple[float, ...]
    brevity_penalty: float


def _checked_corpus(function: Callable) -> Callable:
    """Refuse corpora that do not belong together."""

    @functools.wraps(function)
    def checked(hypotheses, references, max_n=4):
        if not isinstance(max_n, numbers.Integral) or isinstance(max_n, bool):
            raise TypeError(f"max_n must be a whole number, got {max_n!r}")
        if max_n < 1:
            raise ValueError(f"max_n must be at least 1, got {max_n}")
        if len(hypotheses) != len(references) or not hypotheses:
            raise ValueError(
                "expected references for each of at least one hypothesis, got "
                f"{len(references)} for {len(hypotheses)}"
            )
        for place, (hypothesis, several) in enumerate(zip(hypotheses, references, strict=True)):
            if isinstance(several, str) or any(isinstance(one, str) for one in several):
                raise TypeError(f"references must be lists of token lists, at place {place}")
            if isinstance(hypothesis, str):
                raise TypeError(f"a hypothesis must be a list of tokens, at place {place}")
            if any(isinstance(one, Tensor) for one in (hypothesis, *several)):
                raise TypeError(f"expected lists of tokens, got a tensor at place {place}")
            if not several:
                raise ValueError(f"expected at least one reference, got none at place {place}")
        return function(hypotheses, references, max_n)

    return checked


def _runs(tokens: Sequence[Hashable], n: int) -> Counter:
    """Count the runs of n tokens."""
    return Counter(tuple(tokens[i : i + n]) for i in range(len(tokens) - n + 1))


@_checked_corpus
def corpus_bleu(
    hypotheses: Sequence[Sequence[Hashable]],
    references: Sequence[Sequence[Sequence[Hashable]]],
    max_n: int = 4,
) -> Bleu:
    r"""Score translations by the runs of tokens that they share with references.

    .. math::

        \mathrm{BLEU} = \min\left(1, e^{1 - r/c}\right)
                        \left( \prod_{n=1}^{N} p_n \right)^{1/N}

    :math:`p_n` is the number of all runs of :math:`n` tokens that stand in a reference of their
    sentence, each counted at most as often as it stands there, divided by the number of all runs
    of :math:`n` tokens; :math:`c` is the length of all hypotheses and :math:`r` that of the
    references which come nearest to them in length, the shorter one of two. Sums are taken over
    all sentences *before* dividing. It is 0 where any :math:`p_n` is 0, or not defined.

    Args:
        hypotheses: a list of tokens for each sentence.
        references: for each sentence one or more right translations, each a list of tokens.
        max_n: :math:`N`.

    Returns:
        The score, with the precisions and the brevity penalty that it is made of.

    Raises:
        TypeError: if strings stand where lists of tokens should, or ``max_n`` is no whole number.
        ValueError: if there are not as many references as hypotheses, none at all, or ``max_n`` is
            less than 1.

    Example:
        >>> right = "the cat is on the mat".split()
        >>> corpus_bleu(["the the the the".split()], [[right]], max_n=1)  # "the" counts twice
        Bleu(score=0.3032653298563167, precisions=(0.5,), brevity_penalty=0.6065306597126334)

    Reference:
        Papineni, Roukos, Ward and Zhu, "BLEU: a Method for Automatic Evaluation of Machine
        Translation" (2002), doi:10.3115/1073083.1073135; details as in Post, "A Call for
        Clarity in Reporting BLEU Scores" (2018), arXiv:1804.08771.
    """
    matched, total = [0] * max_n, [0] * max_n
    c = r = 0
    for hypothesis, several in zip(hypotheses, references, strict=True):
        c += len(hypothesis)
        r += min((abs(len(one) - len(hypothesis)), len(one)) for one in several)[1]
        for n in range(1, max_n + 1):
            ours, theirs = _runs(hypothesis, n), Counter()
            for one in several:
                theirs |= _runs(one, n)  # the greater count of each
            matched[n - 1] += (ours & theirs).total()  # the lesser count of each
            total[n - 1] += ours.total()
    precisions = tuple(m / t if t else 0.0 for m, t in zip(matched, total, strict=True))
    penalty = 0.0 if c == 0 else min(1.0, math.exp(1 - r / c))
    if min(precisions) == 0:
        return Bleu(0.0, precisions, penalty)
    score = penalty * math.exp(sum(map(math.log, precisions)) / max_n)
    return Bleu(score, precisions, penalty)
