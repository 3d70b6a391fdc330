"""YAML in and out, strictly (layer 0).

Knows nothing of tasks or artifacts. Reading keeps the line of every key, refuses duplicate and
unknown keys, and leaves plain scalars as they are written: `labels: [yes, no, 007]` is three
strings, not two truth values and a number. Callers ask a `Section` for a type and get it or an
error that names file, line, key, value and fix.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import yaml

from ..core.errors import IdealPromptError
from ..core.nearest import did_you_mean

Choice = TypeVar("Choice", bound=str)

MAX_BYTES = 2 << 20
"""No file of ours is larger; the parser takes seconds for as much."""
_MOST_VALUES = 100_000


class _Bounded(yaml.SafeLoader):
    """No aliases, and not more values than one of our files holds."""

    _values = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
        if self.check_event(yaml.AliasEvent):
            problem = "an alias (*name) is not used in our files; quote a text that starts with *"
            raise yaml.composer.ComposerError(None, None, problem, mark)
        self._values += 1
        if self._values > _MOST_VALUES:
            problem = f"more than {_MOST_VALUES:,} values"
            raise yaml.composer.ComposerError(None, None, problem, mark)
        return super().compose_node(parent, index)


class _Loader(_Bounded):
    """Plain scalars stay text, but for null; no tags."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - PyYAML's own protocol
        key: [rule for rule in rules if rule[0] == "tag:yaml.org,2002:null"]
        for key, rules in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


class _Dumper(yaml.SafeDumper):
    """Block strings where a text has several lines; quotes wherever another reader might see
    a number."""

    def ignore_aliases(self, data: Any) -> bool:
        return True

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        del indentless
        super().increase_indent(flow, indentless=False)


_NUMBER_LIKE = re.compile(r"[-+.]?[0-9][0-9a-zA-Z_.:+-]*$|[-+]?\.(inf|nan)$", re.IGNORECASE)
_OTHER_BREAK = re.compile("[\r\x85\u2028\u2029]")


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    if _OTHER_BREAK.search(text):
        style = '"'  # PyYAML would write these raw, and read them as line breaks
    elif "\n" in text:
        style = "|"
    else:
        style = "'" if _NUMBER_LIKE.match(text) else ""
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style or None)


_Dumper.add_representer(str, _represent_text)


def dump(data: Mapping[str, Any]) -> str:
    """YAML text with the keys in the order given; reads back to the same strings."""
    text: str = yaml.dump(
        data,
        Dumper=_Dumper,
        sort_keys=False,
        allow_unicode=True,
        default_flow_style=False,
        width=100,
    )
    return text


# --- reading -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Section:
    """A mapping of a YAML file, with what its errors name; `line` is 0 where the data does not come
    from a file, and errors name the path alone."""

    values: Mapping[str, Any]
    lines: Mapping[str, int]
    source: str
    error: type[IdealPromptError]
    path: str = ""
    line: int = 1

    @classmethod
    def of(cls, data: Mapping[Any, Any], path: str, error: type[IdealPromptError]) -> Section:
        """Plain data that does not come from a file, under the name `path`."""
        values = {str(key): _wrapped(one, f"{path}.{key}", error) for key, one in data.items()}
        return cls(values, {}, "", error, path, 0)

    def fail(self, key: str, problem: str) -> IdealPromptError:
        """The error to raise about `key` (or about the whole section, if '')."""
        line = self.lines.get(key.partition("[")[0], self.line)
        name = ".".join(part for part in (self.path, key) if part)
        place = f"{self.source}:{line}: " if line else ""
        return self.error(f"{place}{name + ': ' if name else ''}{problem}")

    def known(self, *keys: str) -> Section:
        """Itself, or an error if a key is none of these."""
        for key in self.values:
            if key not in keys:
                raise self.fail(key, f"unknown key: {did_you_mean(key, keys)}")
        return self

    def __contains__(self, key: str) -> bool:
        return self.values.get(key) is not None

    def _get(self, key: str) -> Any:
        if key not in self:
            raise self.fail(key, "is missing: add this key")
        return self.values[key]

    def text(self, key: str, default: str | None = None) -> str:
        if key not in self and default is not None:
            return default
        value = self._get(key)
        if not isinstance(value, str):
            raise self.fail(key, f"should be text, not {describe_kind(value)}: put it in quotes")
        return value

    def choice(self, key: str, options: Iterable[Choice], default: Choice | None = None) -> Choice:
        known = list(options)
        value = self.text(key, default)
        if value not in known:
            raise self.fail(key, f"is {value!r}: {did_you_mean(value, known)}")
        return next(one for one in known if one == value)

    def number(self, key: str, default: float | None = None) -> float:
        if key not in self and default is not None:
            return default
        value = self._get(key)
        try:
            found = float(value)
        except (TypeError, ValueError):
            found = math.nan
        if not math.isfinite(found):
            raise self.fail(key, f"is {describe_value(value)}: should be a number")
        return found

    def integer(self, key: str, default: int | None = None) -> int:
        if key not in self and default is not None:
            return default
        value = self._get(key)
        try:
            return int(value)
        except (TypeError, ValueError):
            raise self.fail(key, f"is {describe_value(value)}: should be a whole number") from None

    def items(self, key: str) -> list[Any]:
        """A list, () where the key is missing."""
        value = self.values.get(key)
        if value is None:
            return []
        if not isinstance(value, list):
            raise self.fail(
                key, f"should be a list, not {describe_kind(value)}: write it as [a, b]"
            )
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        found = self.items(key)
        for value in found:
            if not isinstance(value, str):
                raise self.fail(key, f"holds {describe_kind(value)} where text should be: quote it")
        return tuple(found)

    def section(self, key: str) -> Section:
        value = self._get(key)
        if not isinstance(value, Section):
            raise self.fail(key, f"should hold keys of its own, not {describe_kind(value)}")
        return value

    def sections(self, key: str) -> tuple[Section, ...]:
        found = self.items(key)
        for value in found:
            if not isinstance(value, Section):
                raise self.fail(
                    key, f"should be a list of key-value blocks, not {describe_kind(value)}"
                )
        return tuple(found)

    def plain(self) -> dict[str, Any]:
        """The same as nested dicts and lists of strings."""
        return {key: _plain(value) for key, value in self.values.items()}


def _wrapped(value: Any, path: str, error: type[IdealPromptError]) -> Any:
    if isinstance(value, Mapping):
        return Section.of(value, path, error)
    if isinstance(value, (list, tuple)):
        return [_wrapped(one, f"{path}[{n}]", error) for n, one in enumerate(value, 1)]
    return value


def _plain(value: Any) -> Any:
    if isinstance(value, Section):
        return value.plain()
    return [_plain(one) for one in value] if isinstance(value, list) else value


def describe_kind(value: Any) -> str:
    """What a parsed value is, after "not": "a list", "the text 'x'"."""
    if isinstance(value, str):
        return f"the text {describe_value(value)}"
    if isinstance(value, (bool, int, float)):
        return f"the value {value}"
    return {Section: "a block of keys", list: "a list"}.get(type(value), "nothing")


def describe_value(value: Any) -> str:
    """A parsed value after "is", at most 60 characters long."""
    text = repr(value) if isinstance(value, str) else describe_kind(value)
    return text if len(text) <= 60 else text[:57] + "..."


def parse(text: str, source: str, error: type[IdealPromptError]) -> Section:
    """The one mapping of a YAML text. `source` is the file's name for messages."""
    try:
        node = yaml.compose(text, Loader=_Loader)
    except yaml.YAMLError as problem:
        raise error(_syntax_message(problem, source)) from None
    except RecursionError:
        raise error(f"{source}: is nested too deeply to be one of our files") from None
    if node is None:
        raise error(f"{source}: is empty: it should hold lines of the form 'key: value'")
    if not isinstance(node, yaml.MappingNode):
        raise error(f"{source}:1: should hold lines of the form 'key: value'")
    return _section(node, source, error, "")


def plain_data(text: str, source: str, error: type[IdealPromptError]) -> Any:
    """A YAML text with numbers and truth values as such."""
    try:
        return yaml.load(text, Loader=_Bounded)
    except yaml.YAMLError as problem:
        raise error(_syntax_message(problem, source)) from None
    except (RecursionError, ValueError, TypeError) as problem:
        what = "is nested too deeply" if isinstance(problem, RecursionError) else str(problem)
        raise error(f"{source}: cannot be read ({what}): check its values") from None


def _syntax_message(problem: yaml.YAMLError, source: str) -> str:
    mark = getattr(problem, "problem_mark", None)
    line = f":{mark.line + 1}" if mark else ""
    what = getattr(problem, "problem", None) or getattr(problem, "reason", None) or "cannot be read"
    return f"{source}{line}: is not valid YAML ({what}): check the indentation and the quotes"


def _section(
    node: yaml.MappingNode, source: str, error: type[IdealPromptError], path: str
) -> Section:
    values: dict[str, Any] = {}
    lines: dict[str, int] = {}
    for key_node, value_node in node.value:
        line = key_node.start_mark.line + 1
        key = key_node.value
        if not isinstance(key, str):
            raise error(f"{source}:{line}: a key should be plain text")
        if key in values:
            first = lines[key]
            raise error(f"{source}:{line}: {key} is given twice (first on line {first}): drop one")
        lines[key] = line
        inner = f"{path}.{key}" if path else key
        values[key] = _value(value_node, source, error, inner)
    return Section(values, lines, source, error, path, node.start_mark.line + 1)


def _value(node: yaml.Node, source: str, error: type[IdealPromptError], path: str) -> Any:
    if isinstance(node, yaml.MappingNode):
        return _section(node, source, error, path)
    if isinstance(node, yaml.SequenceNode):
        inner = enumerate(node.value, 1)
        return [_value(one, source, error, f"{path}[{number}]") for number, one in inner]
    return None if node.tag == "tag:yaml.org,2002:null" else str(node.value)
