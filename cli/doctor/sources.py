"""Where weights come from and activations go: what is here, and whether it can be asked."""

from __future__ import annotations

import os
import urllib.error
import urllib.request
from collections.abc import Iterator

from cli.doctor.check import Asked, Check

PATIENCE = 10.0  # seconds


def weights(asked: Asked) -> Check:
    """Models whose weights are on this machine."""
    from extract import models

    here, broken = [], []
    for name in models.names():
        try:
            if models.spec(name).present():
                here.append(name)
        except Exception as error:  # whatever another package's model raises
            broken.append(f"{name} ({type(error).__name__})")
    found = f"here: {', '.join(here) or 'none'}"
    if broken:
        return Check("weights", "warn", f"{found}; cannot be described: {', '.join(broken)}",
                     "rsa models NAME says why; update or remove its package")  # fmt: skip
    return Check("weights", "ok", found, "" if here else "they are fetched when first asked for")


def hub(asked: Asked) -> Check:
    """Whether weights can be fetched; the network is asked with --online alone."""
    offline = [
        name for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")
        if os.environ.get(name, "0").lower() not in ("", "0", "false", "no", "off")
    ]  # fmt: skip
    if offline:
        return Check("hub", "warn", f"{' and '.join(offline)} is set: nothing is fetched",
                     f"unset {' '.join(offline)} to fetch weights")  # fmt: skip
    if not asked.online:
        return Check("hub", "ok", "not asked (--online asks it)")
    place = os.environ.get("HF_ENDPOINT", "https://huggingface.co").rstrip("/")
    try:
        with urllib.request.urlopen(
            urllib.request.Request(f"{place}/api/models?limit=1"), timeout=PATIENCE
        ) as answer:
            status = answer.status
    except urllib.error.HTTPError as error:
        return Check("hub", "warn", f"{place}: {error.code} {error.reason}",
                     "wait, or look at HF_TOKEN and HF_ENDPOINT")  # fmt: skip
    except (OSError, ValueError) as error:
        return Check("hub", "warn", f"{place} does not answer: {getattr(error, 'reason', error)}",
                     "look at the network and HTTPS_PROXY; or use --weights")  # fmt: skip
    return Check("hub", "ok", f"{place} answers ({status})")


def storage(asked: Asked) -> Iterator[Check]:
    """The place of RSA_STORES, where it is set; the network is asked with --online alone."""
    from extract.errors import ExtractError
    from extract.remote.retrying import Gone
    from extract.remote.root import connect

    place = os.environ.get("RSA_STORES")
    if not place:
        return
    url = ""
    try:
        root = connect(place)
        url = root.url
        if asked.online:
            root.reach()
    except Gone:
        yield Check("stores", "warn", f"{url}: nothing there yet",
                    "the first run makes it, if its bucket or disk is there")  # fmt: skip
    except ExtractError as error:
        found, _, cure = str(error).rpartition("; ")
        yield Check("stores", "problem", found or str(error), cure)
    else:
        found = "is there" if asked.online else "not asked (--online asks it)"
        yield Check("stores", "ok", f"{url} {found}")
