"""The notebook runs from its first cell to its last, and is kept without what it shows."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

NOTEBOOK = Path(__file__).parents[1] / "docs" / "notebooks" / "first_sounds.ipynb"

pytestmark = pytest.mark.skipif(not NOTEBOOK.is_file(), reason="no checkout")


@pytest.fixture
def notebook():
    read = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(read)
    return read


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def test_no_outputs_are_kept(notebook):
    assert all(not cell.outputs and cell.execution_count is None for cell in code_cells(notebook))


def test_every_cell_runs_and_the_sounds_play(notebook, tmp_path):
    place = {"metadata": {"path": str(tmp_path)}}
    NotebookClient(notebook, timeout=120, kernel_name="python3", resources=place).execute()
    outputs = [output for cell in code_cells(notebook) for output in cell.outputs]
    players = [output for output in outputs if "<audio" in output.get("data", {}).get("text/html", "")]
    pictures = [output for output in outputs if "image/png" in output.get("data", {})]
    assert (len(players), len(pictures)) == (3, 1)
