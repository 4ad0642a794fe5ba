"""The text of a filter into an expression: words and signs first, then one method for each level of binding.

Nothing of the text is ever run: it can only become the nodes of `expressions`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, NoReturn

from fireworks.core.comparisons import COMPARISONS
from fireworks.core.expressions import (
    RESERVED,
    TYPED,
    And,
    Arithmetic,
    Between,
    Column,
    Comparison,
    Expression,
    IsNull,
    Member,
    Negative,
    Not,
    Or,
    Value,
)
from fireworks.errors import ExpressionError, did_you_mean

_MAX_DEPTH = 50
_TOKEN = re.compile(
    r"""\s*(?:
    (?P<number> (?: \d+(?:_\d+)* (?:\.\d*)? | \.\d+ ) (?:[eE][+-]?\d+)? (?!\w) )
  | (?P<name> [^\W\d]\w* )
  | (?P<quoted> ` (?: [^`] | `` )+ ` )
  | (?P<text> ' (?: [^'\\] | \\. | '' )* ' | " (?: [^"\\] | \\. | "" )* " )
  | (?P<wrong> === | <> | =< | => | && | \|\| | \*\* | ! (?!=) | = (?!=) | [&|~^] )
  | (?P<sign> == | != | <= | >= | // | [-+*/%<>()\[\],] )
  | (?P<end> \Z )
    )""",
    re.VERBOSE | re.DOTALL,
)
_RIGHT_SPELLINGS = {
    "=": "==",
    "===": "==",
    "<>": "!=",
    "=>": ">=",
    "=<": "<=",
    "&": "and",
    "&&": "and",
    "|": "or",
    "||": "or",
    "!": "not",
    "~": "not",
}
_CONSTANTS: dict[str, Any] = {
    "true": True,
    "false": False,
    "inf": float("inf"),
    "null": None,
    "none": None,
    "nan": None,
}
_TYPED_WORDS = {word: read for word, _, read in TYPED.values()}
_WORDS_OF_OPERATORS = ("and", "or", "not in", "in", "between", "is null", "is not null")
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "\\": "\\", "'": "'", '"': '"'}
_ESCAPE = re.compile(r"\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|(.))", re.DOTALL)


class Token(NamedTuple):
    """A word, a number, a text or a sign, and where it stands."""

    kind: str
    text: str
    start: int


def parse(text: str) -> Expression:
    """Do what `expressions.parse` says."""
    if not isinstance(text, str):
        raise TypeError(f"filter: expected a text such as 'x > 0'; got {text!r:.60} of type {type(text).__name__}.")
    return _Parser(text).whole()


def _tokens(text: str) -> Iterator[Token]:
    place = 0
    while True:
        match = _TOKEN.match(text, place)
        if match is None:
            start = len(text) - len(text[place:].lstrip())
            _refuse_character(text, start)
        kind = str(match.lastgroup)
        yield Token(kind, match[kind], match.start(kind))
        if kind == "end":
            return
        place = match.end()


def _refuse_character(text: str, start: int) -> NoReturn:
    character = text[start]
    if character in "'\"`":
        what = "a name" if character == "`" else "a text"
        raise ExpressionError(f"filter: expected {character} at the end of {what} that begins here.", text, start)
    if character.isdigit():
        number = re.match(r"[\w.]+", text[start:])
        got = number[0] if number else character
        raise ExpressionError(
            f"filter: expected a number; got {got!r}. A column whose name begins with a digit stands between backticks.",
            text,
            start,
        )
    raise ExpressionError(
        f"filter: {character!r} means nothing here. A column whose name has other signs than letters, digits and _ "
        "stands between backticks.",
        text,
        start,
    )


class _Parser:
    """Reads tokens from left to right; each method reads what binds at least as tightly as its name says."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = list(_tokens(text))
        self._next = 0
        self._depth = 0

    # --- tokens ---------------------------------------------------------------------------------------------------

    @property
    def _token(self) -> Token:
        return self._tokens[self._next]

    def _word(self, ahead: int = 0) -> str:
        """Return a sign as it is and a reserved word in small letters; nothing for all else."""
        token = self._tokens[min(self._next + ahead, len(self._tokens) - 1)]
        if token.kind == "sign":
            return token.text
        return token.text.lower() if token.kind == "name" and token.text.lower() in RESERVED else ""

    def _accept(self, *words: str) -> str:
        """Read the next words if they are these, and return the first; nothing if they are not."""
        if all(self._word(ahead) == word for ahead, word in enumerate(words)):
            self._next += len(words)
            return words[0]
        return ""

    def _accept_one(self, words: Any) -> str:
        word = self._word()
        if word and word in words:
            self._next += 1
            return word
        return ""

    def _expect(self, word: str, why: str) -> None:
        if not self._accept(word):
            self._refuse(f"{word!r} {why}")

    def _refuse(self, expected: str) -> NoReturn:
        token = self._token
        got = "the end" if token.kind == "end" else repr(token.text)
        hint = ""
        if token.kind == "wrong":
            right = _RIGHT_SPELLINGS.get(token.text)
            hint = f" Did you mean {right!r}?" if right else ""
        elif token.kind == "name" and expected.startswith("an operator"):
            hint = did_you_mean(token.text.lower(), _WORDS_OF_OPERATORS)
        raise ExpressionError(f"filter: expected {expected}; got {got}.{hint}", self._text, token.start)

    # --- levels ---------------------------------------------------------------------------------------------------

    def whole(self) -> Expression:
        found = self._or()
        if self._token.kind != "end":
            self._refuse("an operator such as == or 'and'")
        return found

    def _or(self) -> Expression:
        parts = [self._and()]
        while self._accept("or"):
            parts.append(self._and())
        return Or(tuple(parts)) if len(parts) > 1 else parts[0]

    def _and(self) -> Expression:
        parts = [self._not()]
        while self._accept("and"):
            parts.append(self._not())
        return And(tuple(parts)) if len(parts) > 1 else parts[0]

    def _not(self) -> Expression:
        if self._accept("not"):
            return Not(self._deeper(self._not))
        return self._comparison()

    def _comparison(self) -> Expression:
        start = self._token.start
        left = self._sum()
        found: list[Expression] = []
        while operator := self._accept_one(COMPARISONS):
            right = self._sum()
            found.append(Comparison(operator, left, right))  # type: ignore[arg-type]  # one of the literals
            left = right
        if not found:
            return self._test(left)
        # 0 < x < 1, as in Python
        joined = And(tuple(found)) if len(found) > 1 else found[0]
        if self._word() in {"in", "is", "between"} or (self._word() == "not" and self._word(1) in {"in", "between"}):
            raise ExpressionError(
                "filter: a comparison stands in parentheses before another operator.", self._text, start
            )
        return joined

    def _test(self, operand: Expression) -> Expression:
        """Read what may stand behind a value in words: a list, limits, or null."""
        if self._accept("not", "in"):
            return Member("not in", operand, self._list())
        if self._accept("in"):
            return Member("in", operand, self._list())
        if self._accept("not", "between"):
            return Not(self._between(operand))
        if self._accept("between"):
            return self._between(operand)
        if self._accept("is"):
            negated = bool(self._accept("not"))
            if not self._accept_one({"null", "none", "nan"}):
                self._refuse("'null' behind 'is'")
            return IsNull(operand, negated=negated)
        return operand

    def _between(self, operand: Expression) -> Between:
        low = self._sum()
        self._expect("and", "between the two limits")
        return Between(operand, low, self._sum())

    def _list(self) -> tuple[Value, ...]:
        closing = {"(": ")", "[": "]"}.get(self._accept_one({"(", "["}), "")
        if not closing:
            self._refuse("a list such as [1, 2] behind 'in'")
        values: list[Value] = []
        while not self._accept(closing):
            if values:
                self._expect(",", f"or {closing!r} behind a value of the list")
                if self._accept(closing):
                    break
            value = self._signed()
            if not isinstance(value, Value):
                self._next -= 1
                self._refuse("a number, a text or another value in the list, not a column")
            values.append(value)
        return tuple(values)

    def _sum(self) -> Expression:
        return self._chain(self._product, {"+", "-"})

    def _product(self) -> Expression:
        return self._chain(self._signed, {"*", "/", "//", "%"})

    def _chain(self, operand: Callable[[], Expression], operators: set[str]) -> Expression:
        found, count = operand(), 0
        while operator := self._accept_one(operators):
            count += 1
            if count > _MAX_DEPTH:
                self._refuse_depth()
            found = Arithmetic(operator, found, operand())  # type: ignore[arg-type]  # one of the literals
        return found

    def _signed(self) -> Expression:
        if self._accept("+"):
            return self._deeper(self._signed)
        if not self._accept("-"):
            return self._atom()
        if self._token.kind == "number" or self._word() == "inf":
            value = self._atom()
            return Value(-value.value) if isinstance(value, Value) else value
        return Negative(self._deeper(self._signed))

    def _atom(self) -> Expression:
        token = self._token
        if self._accept("("):
            found = self._deeper(self._or)
            self._expect(")", "to close the parenthesis, or an operator")
            return found
        if token.kind == "name" and token.text.lower() in RESERVED - _CONSTANTS.keys():
            self._refuse("a column or a value")
        if token.kind not in {"number", "name", "quoted", "text"}:
            self._refuse("a column or a value")
        self._next += 1
        if token.kind == "number":
            return Value(_number(token.text))
        if token.kind == "text":
            return Value(_unquoted(token.text))
        if token.kind == "quoted":
            return Column(token.text[1:-1].replace("``", "`"))
        if token.text.lower() in _CONSTANTS:
            return Value(_CONSTANTS[token.text.lower()])
        if token.text.lower() in _TYPED_WORDS and self._token.kind == "text":
            return self._typed(token)
        if self._word() == "(":
            raise ExpressionError(
                f"filter: {token.text!r} looks like a function, and there are none; pass a function to filter in place "
                "of the text: filter(lambda rows: …).",
                self._text,
                token.start,
            )
        return Column(token.text)

    def _typed(self, word: Token) -> Value:
        """Read ``date '2024-01-31'`` and the like."""
        text = _unquoted(self._token.text)
        self._next += 1
        try:
            return Value(_TYPED_WORDS[word.text.lower()](text))
        except (ValueError, ArithmeticError) as error:
            raise ExpressionError(
                f"filter: {text!r} is no {word.text.lower()}: {error}", self._text, word.start
            ) from error

    def _deeper(self, level: Callable[[], Expression]) -> Expression:
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            self._refuse_depth()
        found = level()
        self._depth -= 1
        return found

    def _refuse_depth(self) -> NoReturn:
        raise ExpressionError(
            f"filter: expected at most {_MAX_DEPTH} operators within or behind each other; write a function instead: "
            "filter(lambda rows: …).",
            self._text,
            self._token.start,
        )


def _number(text: str) -> int | float:
    return float(text) if any(sign in text for sign in ".eE") else int(text)


def _unquoted(text: str) -> str:
    quote, inner = text[0], text[1:-1]
    parts = re.split(r"(\\(?:x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|.))", inner, flags=re.DOTALL)
    # every second part is an escape, whose quotes don't come in pairs
    return "".join(
        _ESCAPE.sub(_escaped, part) if number % 2 else part.replace(quote * 2, quote)
        for number, part in enumerate(parts)
    )


def _escaped(match: re.Match[str]) -> str:
    code = match[1] or match[2] or match[3]
    if code:
        return chr(int(code, 16))
    return _ESCAPES.get(match[4], match[0])
