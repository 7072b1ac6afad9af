"""Settings as the page docs/settings.md: `python -m config.reference` prints it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Final

from config.declare import Declaration, Section, declarations, written
from config.model import ModelSettings
from config.settings import Settings

_INTRODUCTION: Final = """\
<!-- Made by `python -m config.reference`: edit config/settings.py and run `make generate`. -->

# Settings

A configuration file is YAML; every key is optional but those that are `required` where their section is. Unknown keys are errors.
`driftline config check FILE` says what is wrong with a file, and where. Environment variables are not read. A command's
options override the file; `--upstream`, `--shadow` and `--baseline` belong to the file's only route. Relative
paths start at the working directory.
[examples/driftline.yaml](../examples/driftline.yaml) is a whole file with comments.

How values are written:

| unit | written | means |
| --- | --- | --- |
| bytes | `64 KiB`, `500 kB`, `4 GiB`, `4096` | KiB, MiB, GiB, TiB count by 1024; kB, MB, GB, TB by 1000; a bare number counts bytes |
| cpu, memory | `100m`, `0.5`; `64Mi`, `1Gi` | as Kubernetes writes them |
| duration | `250ms`, `10s`, `5m`, `2h`, `30 days` | the unit must be given |
| share | `25%`, `0.25` | a part of the whole, 0 to 1 |
| host:port | `127.0.0.1:8080`, `:8080`, `"[::1]:8080"` | `:8080` is every interface; brackets need quotes in YAML |
| url | `http://127.0.0.1:9000/prefix`, `unix:/run/model.sock` | http or https, the port defaults to the scheme's; or http over a unix socket. Several in a list, or with commas between |
| hosts | `models.example.com`, `"*.models.svc"`, `10.1.2.3`, `10.0.0.0/8` | a name, all names below one, an address, a network; the star needs quotes in YAML |
| place | `$.customer.id`, `$.rows[*].id`, `$..email`, `tensor:ssn`, `header:X-User`, `?token`, `form:email`, `client`, `principal` | where values stand in an exchange, or who asked; a JSON path has names, `['any name']`, indexes, `*` for all, and `..` for any depth |
| name=source | `2026-11=file:/run/secrets/key`, `2026-11=env:HASH_KEY` | a secret, by a name and where it is |
| hours | `mon-fri 09:00-17:00`, `sat 10:00-14:00 Europe/Berlin` | the same hours of days in a row, in an IANA time zone or in UTC |
| budget | `1 per 30 days`, `1 per 1000 windows` | how often a false alert is acceptable |
"""

_MODEL_INTRODUCTION: Final = """\
# Settings of a model

`model.yaml` lies beside a version's `model.onnx` in the directory of models ([the runtime](runtime.md)). All of it is optional, and so is the file.
[examples/model.yaml](../examples/model.yaml) has everything.
"""


def page() -> str:
    """Return the page as Markdown."""
    return "\n".join([_INTRODUCTION, *_section_lines("", Settings, "Top level"), _MODEL_INTRODUCTION, *_section_lines("", ModelSettings, "`model.yaml`")])


def _section_lines(prefix: str, section: type[Section], title: str) -> Iterator[str]:
    """Yield a heading, the section's own settings as a table, and then the sections in it."""
    known = declarations(section)
    yield f"## {title}\n\n{section.__doc__}\n"
    yield "| key | default | unit | what it does |\n| --- | --- | --- | --- |"
    yield from (_row(prefix, declaration) for declaration in known.values() if not declaration.is_section)
    yield ""
    for declaration in known.values():
        if declaration.is_section:
            key = f"{prefix}{declaration.name}" + ("[]" if declaration.is_list else "")
            yield from _section_lines(f"{key}.", declaration.type, f"`{key}`")


def _row(prefix: str, declaration: Declaration) -> str:
    default = "required" if declaration.is_required else f"`{written(declaration.default)}`" if declaration.default not in {None, "", ()} else "–"
    facts = [declaration.bounds, f"for example `{declaration.example}`" if default in {"required", "–"} else ""]
    remarks = ", ".join(filter(None, facts))
    text = declaration.help + (f" {remarks[0].upper()}{remarks[1:]}." if remarks else "")
    return f"| `{prefix}{declaration.name}` | {default} | {declaration.unit} | {text} |"


if __name__ == "__main__":
    sys.stdout.write(page())
