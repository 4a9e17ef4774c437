"""FastAPI: one cache for all workers, results computed once in the machine.

uvicorn --workers 4 fastapi_app:app
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import framecache
import pandas as pd
from fastapi import FastAPI, Response

cache = framecache.Cache()  # FRAMECACHE_DIR, FRAMECACHE_BUDGET
computed = 0  # by this worker


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    yield
    cache.close()


app = FastAPI(lifespan=lifespan)


@cache.memoize(ttl="10m", stale="1h")
async def flights(carrier: str) -> pd.DataFrame:
    """What a slow database would give: of all callers of all workers, one asks it."""
    global computed
    computed += 1
    await asyncio.sleep(0.05)
    return pd.DataFrame({"carrier": carrier, "delay": range(1000)})


@app.get("/delay/{carrier}")
async def delay(carrier: str) -> dict[str, Any]:
    """A number of a table that is not copied on the way here."""
    table = await flights(carrier)
    return {"carrier": carrier, "mean": float(table["delay"].mean()), "by": computed}


@app.get("/table/{carrier}")
async def table(carrier: str) -> Response:
    """The table itself, as Arrow reads it."""
    import pyarrow as pa

    await flights(carrier)
    with cache[flights.cache_key(carrier)] as frame:
        sink = pa.BufferOutputStream()
        batch = pa.record_batch(frame)
        with pa.ipc.new_stream(sink, batch.schema) as writer:
            writer.write_batch(batch)
    return Response(
        sink.getvalue().to_pybytes(), media_type="application/vnd.apache.arrow.stream"
    )
