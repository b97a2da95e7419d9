"""Pages of the documentation site that lie outside of docs/: the README, benchmarks, and files that pages link to.

A hook of MkDocs (`hooks` in mkdocs.yml). A file of the repository has one place on the site: README.md is its first
page, what lies in docs/ is below the root, and every other file that a page links to is below `repository/`. Links are
written for readers of the repository; here they are rewritten for the site, and one that leads nowhere ends the build.
"""

from __future__ import annotations

import posixpath
import re
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files, InclusionLevel
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
FIRST = "README.md"
LINK = re.compile(r"(?P<image>!?)\[(?P<words>(?:[^\[\]]|\[[^\]]*\])*)\]\((?P<target>[^)\s]+)\)")


def site_path(path: str) -> str:
    """The place on the site of a file of the repository."""
    if path == FIRST:
        return "index.md"
    return path.removeprefix("docs/") if path.startswith("docs/") else f"repository/{path}"


def repository_path(uri: str) -> str:
    """The file of the repository behind a place on the site."""
    if uri == "index.md":
        return FIRST
    return uri.removeprefix("repository/") if uri.startswith("repository/") else f"docs/{uri}"


def target_of(path: str, link: str) -> str | None:
    """The repository's file that a link of a page leads to; None for another site's, or a place on the same page.

    Raises:
        PluginError: There is no such file or folder.
    """
    target = link.partition("#")[0]
    if not target or re.match(r"[a-z]+:", target):
        return None
    resolved = posixpath.normpath(posixpath.join(posixpath.dirname(path), target))
    if not (ROOT / resolved).exists():
        raise PluginError(f"{path} links to {link}: there is no such file")
    return resolved


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds the README and, from page to page, the files outside of docs/ that are linked to."""
    pages = [f"docs/{file.src_uri}" for file in files.documentation_pages()]
    waiting = [FIRST, "CONTRIBUTING.md", "CHANGELOG.md", *pages]
    seen = set(waiting)
    while waiting:
        path = waiting.pop()
        if not path.startswith("docs/"):
            file = File.generated(config, site_path(path), abs_src_path=str(ROOT / path))
            file.inclusion = InclusionLevel.NOT_IN_NAV
            files.append(file)
        if not path.endswith(".md"):
            continue
        links = (target_of(path, found["target"]) for found in LINK.finditer((ROOT / path).read_text()))
        linked = {each for each in links if each is not None and (ROOT / each).is_file()} - seen
        seen |= linked
        waiting += [each for each in sorted(linked) if not each.startswith("docs/")]
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """The page's text with its links rewritten for the site; a link to a folder becomes its words."""
    uri = page.file.src_uri
    path = repository_path(uri)

    def rewritten(found: re.Match[str]) -> str:
        target = target_of(path, found["target"])
        if target is None:
            return found[0]
        if (ROOT / target).is_dir():
            return found["words"]
        anchor = "".join(found["target"].partition("#")[1:])
        place = posixpath.relpath(site_path(target), posixpath.dirname(uri) or ".")
        return f"{found['image']}[{found['words']}]({place}{anchor})"

    return LINK.sub(rewritten, markdown)
