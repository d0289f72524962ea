"""One engine over one file, in its own virtual environment: `engines ENGINE SHAPE INPUT OUTPUT CODEC`; `engines ENGINE` tells its version."""

import importlib
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:] = [str(HERE), str(HERE.parent)] + [path for path in sys.path if pathlib.Path(path) != HERE]

MODULES = {
    "duckdb": "duckdb_copy",
    "polars": "polars_sink",
    "chdb": "clickhouse_local",
    "pyarrow": "pyarrow_dataset",
    "pyspark": "spark_local",
}


def main():
    import tables

    engine = importlib.import_module(MODULES[sys.argv[1]])
    if len(sys.argv) == 2:
        print(engine.VERSION)
        return
    _, _, shape, source, output, codec = sys.argv
    engine.run(tables.TABLES[shape], tables, source, output, codec)


main()
