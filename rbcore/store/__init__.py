"""What has been computed: where it lies, under which key, and how it is written.

A table of distances is one Parquet file. Its name is the hash of everything that determines its
numbers (the *key*); beside the rows it holds the key, the provenance, a checksum of the
rows and a seal. What ships with the project (``cache/bundled``) is read-only and overlaid by what
the user computed.

Everything written here carries a *seal*, the hash of its facts, and tables a checksum of their
rows. What is read is checked against both: a file whose bytes changed is refused by its name, and
never read as other numbers.
"""

from rbcore.store.files import (
    bundled_root,
    cache_root,
    make_folder,
    roots,
    sha256_of_facts,
    sha256_of_file,
    write_atomically,
    write_text,
)
from rbcore.store.key import BestKey, TableKey
from rbcore.store.parquet import read_rows, rows_record, sha256_of_rows, write_rows
from rbcore.store.provenance import BestProvenance, Computed, Provenance, summed
from rbcore.store.records import Numbers, Record, Settings, read_record, write_record
from rbcore.store.tables import (
    BestTable,
    MethodTable,
    Part,
    StoredTable,
    TableFacts,
    damaged_tables,
    files_with,
    locked,
    read_parts,
    read_table,
    read_table_file,
    remove_parts,
    table_facts,
    table_files,
    write_part,
    write_table,
)

__all__ = [
    "BestKey",
    "BestProvenance",
    "BestTable",
    "Computed",
    "MethodTable",
    "Numbers",
    "Part",
    "Provenance",
    "Record",
    "Settings",
    "StoredTable",
    "TableFacts",
    "TableKey",
    "bundled_root",
    "cache_root",
    "damaged_tables",
    "files_with",
    "locked",
    "make_folder",
    "read_parts",
    "read_record",
    "read_rows",
    "read_table",
    "read_table_file",
    "remove_parts",
    "roots",
    "rows_record",
    "sha256_of_facts",
    "sha256_of_file",
    "sha256_of_rows",
    "summed",
    "table_facts",
    "table_files",
    "write_atomically",
    "write_part",
    "write_record",
    "write_rows",
    "write_table",
    "write_text",
]
