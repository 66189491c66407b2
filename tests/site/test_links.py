"""Read the built pages as files: every internal link and anchor leads somewhere, every picture says what it shows."""

import functools
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit

import pytest
import yaml
from bs4 import BeautifulSoup, Tag

ROOT = Path(__file__).resolve().parents[2]
SITE = ROOT / "_build" / "html"
PAGES = sorted(page.name for page in SITE.glob("*.html")) or ["intro.html"]
CONFIGURATION = yaml.safe_load((ROOT / "_config.yml").read_text())

pytestmark = pytest.mark.site
every_page = pytest.mark.parametrize("name", PAGES)


@functools.cache
def parsed(name: str) -> BeautifulSoup:
    return BeautifulSoup((SITE / name).read_text(encoding="utf-8"), "html.parser")


def attributes(soup: BeautifulSoup, name: str) -> list[str]:
    return [str(tag[name]) for tag in soup.find_all(attrs={name: True})]


@every_page
def test_every_internal_link_leads_somewhere(name: str) -> None:
    dead = []
    for link in {*attributes(parsed(name), "href"), *attributes(parsed(name), "src")}:
        parts = urlsplit(urljoin(f"/{name}", link))
        if parts.scheme:
            continue
        target = SITE / unquote(parts.path).lstrip("/")
        if not target.is_file():
            dead.append(link)
        elif parts.fragment and target.suffix == ".html":
            soup = parsed(target.relative_to(SITE).as_posix())
            if not soup.find(attrs={"id": parts.fragment}) and not soup.find(attrs={"name": parts.fragment}):
                dead.append(link)
    assert dead == []


@every_page
def test_no_identifier_is_given_twice(name: str) -> None:
    identifiers = attributes(parsed(name), "id")
    assert sorted({i for i in identifiers if identifiers.count(i) > 1}) == []


@every_page
def test_every_picture_says_what_it_shows(name: str) -> None:
    silent = [str(image)[:200] for image in parsed(name).find_all("img") if "alt" not in image.attrs]
    article = parsed(name).find("article")
    if isinstance(article, Tag):
        for image in article.find_all("img"):
            text = str(image.get("alt", ""))
            decorative = image.get("role") == "presentation"
            if not decorative and (len(text) < 15 or text == image.get("src") or text.endswith((".png", ".svg"))):
                silent.append(f"{str(image)[:200]}: alt text {text!r}")
        silent += [
            str(drawing)[:200]
            for drawing in article.find_all("svg", role="img")
            if not drawing.get("aria-label") and not drawing.get("aria-labelledby") and not drawing.find("title")
        ]
    assert silent == [], "set mystnb.image.alt in the metadata of the cell, or alt of the image"


@every_page
def test_it_has_a_language_a_title_a_description_and_a_card(name: str) -> None:
    if name == "index.html":
        return  # a redirection to the landing page
    soup = parsed(name)
    assert soup.html is not None
    assert soup.html["lang"] == "en"
    assert soup.title is not None
    assert soup.title.text.strip()
    card = {str(tag["property"]): str(tag["content"]) for tag in soup.find_all("meta", property=True)}
    base = CONFIGURATION["html"]["baseurl"]
    assert card["og:title"].strip()
    assert len(card["og:description"]) > 20
    assert card["og:image"].startswith(base)
    picture = SITE / card["og:image"].removeprefix(base)
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert picture.stat().st_size < 100_000


@pytest.mark.parametrize("notebook", sorted(path.stem for path in (ROOT / "book").glob("*.ipynb")))
def test_a_chapter_can_be_launched_and_downloaded(notebook: str) -> None:
    links = attributes(parsed(f"{notebook}.html"), "href")
    repository = CONFIGURATION["repository"]["url"].removeprefix("https://github.com/")
    assert any("mybinder.org" in link and repository in link and f"{notebook}.ipynb" in link for link in links)
    assert any("colab.research" in link and repository in link and f"{notebook}.ipynb" in link for link in links)
    assert f"_sources/{notebook}.ipynb" in links
    assert (SITE / "_sources" / f"{notebook}.ipynb").is_file()
