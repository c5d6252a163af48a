"""Tables that fit the terminal: columns that say nothing are left out, then cut, then dropped.

rich alone would cut every column a little, the names that people need to copy among them.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from rich.table import Table
from rich.text import Text

_GAP: Final = 2
_SHORTEST: Final = 12
"""Characters below which a flexible column is not worth its place."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A title and a cell per row; without `drop` the column always stays as wide as it is."""

    title: str
    cells: Sequence[Text]
    drop: int = 0
    """Where there is no room, columns with the highest number go first; 0 stays."""
    flexible: bool = False
    """Whether its cells may be cut before columns are dropped."""

    @property
    def width(self) -> int:
        """Of its widest cell."""
        return max([len(self.title), *(cell.cell_len for cell in self.cells)])

    @property
    def empty(self) -> bool:
        """Whether no cell says anything."""
        return not any(cell.cell_len for cell in self.cells)


def fitted_table(columns: Sequence[Column], width: int) -> Table:
    """A table without lines of at most `width` characters, if what must stay allows it."""
    shown = [column for column in columns if not column.empty or not column.drop]
    while _sum(_least(column) for column in shown) > width and any(column.drop for column in shown):
        shown.remove(max(shown, key=lambda column: column.drop))
    rooms = _rooms(shown, width)
    table = Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0), header_style="bold")
    for column in shown:
        table.add_column(
            column.title.upper(), max_width=rooms[column.title], no_wrap=True, overflow="ellipsis"
        )
    for row in zip(*(column.cells for column in shown), strict=True):
        table.add_row(*row)
    return table


def _rooms(columns: Sequence[Column], width: int) -> dict[str, int]:
    """How wide each column may be; those that would be dropped first are cut first."""
    rooms = {column.title: column.width for column in columns}
    for column in sorted(columns, key=lambda column: -column.drop):
        excess = _sum(rooms.values()) - width
        if column.flexible and excess > 0:
            rooms[column.title] = max(min(_SHORTEST, column.width), column.width - excess)
    return rooms


def _sum(widths: Iterable[int]) -> int:
    return sum(width + _GAP for width in widths) - _GAP


def _least(column: Column) -> int:
    """The width below which a column is rather dropped."""
    can_be_cut = column.flexible and column.drop
    return min(column.width, _SHORTEST) if can_be_cut else column.width
