"""Whether a built site is whole, and can be read without a network.

What its pages fetch has to be among its own files, and so has what they link to on it, down to the place in the page.
"""

import functools
import pathlib
import re
import sys
from html.parser import HTMLParser
from urllib.parse import unquote

fetching = {"script": "src", "img": "src", "iframe": "src", "source": "src", "link": "href"}


class Read(HTMLParser):
    """Collects what a page fetches as it is opened, what it links to, and the places that may be linked to."""

    def __init__(self):
        super().__init__()
        self.fetched, self.linked, self.places = [], [], set()

    def handle_starttag(self, tag, attributes):
        """Keep the addresses of scripts, pictures and styles, those of links, and identities."""
        given = dict(attributes)
        address = given.get(fetching.get(tag, ""))
        if address and given.get("rel") not in ("canonical", "index", "search", "next", "prev", "author"):
            self.fetched.append(address)
        if tag == "a" and given.get("href"):
            self.linked.append(given["href"])
        if given.get("id"):
            self.places.add(given["id"])


@functools.cache
def read(page):
    """Return what is on a page."""
    found = Read()
    found.feed(page.read_text("utf-8"))
    return found


def wrong(site):
    """Yield what is wrong with the pages and styles of a site."""
    for page in sorted(page for page in site.rglob("*.html") if "_static" not in page.parts):
        for address in read(page).fetched:
            if not has(page, address):
                yield f"{page}: fetched from elsewhere, or missing: {address}"
        for address in read(page).linked:
            if not leads_somewhere(page, address):
                yield f"{page}: a link that leads nowhere: {address}"
    for style in sorted(site.rglob("*.css")):
        found = re.findall(r"url\(['\"]?([^'\")]+)", style.read_text("utf-8"))
        found += re.findall(r"@import\s+['\"]([^'\"]+)", style.read_text("utf-8"))
        for address in found:
            if not has(style, address):
                yield f"{style}: fetched from elsewhere, or missing: {address}"


def has(page, address):
    """Return whether an address on a page is one of the site's files, or data within the page."""
    if address.startswith(("data:", "#")):
        return True
    return "//" not in address and (page.parent / re.split("[?#]", address)[0]).exists()


def leads_somewhere(page, address):
    """Return whether a link leads to a page of the site and a place on it; those to elsewhere are not followed."""
    if re.match("[a-z]+:", address):
        return True
    file, _, place = unquote(address).partition("#")
    target = (page.parent / file).resolve() if file else page
    if not target.is_file() or not place or target.suffix != ".html":
        return target.is_file()
    return place in read(target).places


if __name__ == "__main__":
    sys.exit("\n".join(wrong(pathlib.Path(sys.argv[1]).resolve())) or None)
