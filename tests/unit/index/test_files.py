import pandas as pd
import pytest

from ct4bench.core.errors import UserError
from ct4bench.index.files import FILE_COLUMNS, folders_of, locate


@pytest.fixture
def chunk(tmp_path):
    """Rows of two series in three folders, and the folders as links with other names."""
    rows = []
    for uid, root, folder, name in (
        ("2", "data", "b/c", "x.dcm"), ("1", "data", "a", "x.dcm"), ("1", "data", "a", "y.dcm"), ("1", "more", "", "z"),
    ):  # fmt: skip
        path = tmp_path / root / folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{uid}{root}{folder}{name}")
        rows.append((uid, "ct", root, folder, name, path.stat().st_size, 0.0))
    files = pd.DataFrame(rows, columns=FILE_COLUMNS)
    links = []
    for k, (root, folder) in enumerate(folders_of(files)):
        (tmp_path / f"in{k}").symlink_to(tmp_path / root / folder)
        links.append(tmp_path / f"in{k}")
    return files, links


def test_each_file_is_found_in_the_folder_given_for_its_own(chunk):
    files, links = chunk
    assert folders_of(files) == [("data", "a"), ("data", "b/c"), ("more", "")]
    located = locate(files, links)
    assert [path.read_text() for path in located["file"]] == [
        f"{r.series_uid}{r.root}{r.folder}{r.name}" for r in files.itertuples()
    ]


def test_folders_are_in_the_order_of_their_texts():
    pairs = [("data", "z"), ("data-x", ""), ("data", ""), ("data", "a/b"), ("data", "a")]
    files = pd.DataFrame([("1", "ct", root, folder, "x", 1, 0.0) for root, folder in pairs], columns=FILE_COLUMNS)
    texts = ["/".join(pair).rstrip("/") for pair in folders_of(files)]
    assert texts == ["data", "data-x", "data/a", "data/a/b", "data/z"]


def test_a_root_is_an_empty_folder_name_also_where_a_table_has_it_blank(chunk):
    files, links = chunk
    files["folder"] = files["folder"].replace("", None)
    assert len(locate(files, links)) == 4


def test_too_few_folders(chunk):
    files, links = chunk
    with pytest.raises(UserError, match="2 folders are given for series that lie in 3"):
        locate(files, links[:2])


def test_a_file_that_is_gone_or_changed(chunk):
    files, links = chunk
    (links[1] / "x.dcm").write_text("longer than it was before")
    with pytest.raises(UserError, match="data/b/c/x.dcm changed"):
        locate(files, links)
    (links[1] / "x.dcm").unlink()
    with pytest.raises(UserError, match="data/b/c/x.dcm cannot be read"):
        locate(files, links)


@pytest.mark.parametrize("name", ["../x.dcm", "/etc/passwd", "..", ""])
def test_a_name_may_not_lead_out_of_its_folder(chunk, name):
    files, links = chunk
    files.loc[0, "name"] = name
    with pytest.raises(UserError, match="not a plain file name"):
        locate(files, links)
