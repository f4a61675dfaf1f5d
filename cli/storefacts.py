"""What a store on a disk and one on a storage say alike of themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from extract.remote.stores import RemoteStore
    from extract.stores import StoreFolder


def planned(store: StoreFolder | RemoteStore, place: str, failed: int | None) -> dict:
    """Facts for JSON and tables; None where the manifest cannot be read.

    Parameters
    ----------
    place : folder or URL.
    failed : clips without rows, where that is known.
    """
    plan = store.plan
    return {
        "folder": place,
        "model": store.model,
        "data": plan and plan.data,
        "rows": plan and plan.rows,
        "clips": plan and len(plan.clips),
        "layers": plan and len(plan.layers),
        "dtype": plan and plan.dtype,
        "shards": plan and plan.shards,
        "present": len(store.present),
        "missing": plan and plan.shards - len(set(store.present) & set(range(plan.shards))),
        "failures": failed,
        "bytes": store.bytes,
    }
