"""Detectors of every family: known boxes out of networks that find what is red."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from rtcstream import Box, LoadingFailed
from rtcstream.examples._boxes import letterbox, survivors
from rtcstream.examples._detectors import Detector, chosen
from rtcstream.examples._models import Missing, Network, Shared
from tests.onnx_files import FLOAT, INT64, UINT8, Graph, cells

SIDE, STRIDE = 64, 8
N = (SIDE // STRIDE) ** 2
MIDDLES = (cells(SIDE, STRIDE) + 0.5) * STRIDE
ROUND = np.hstack([MIDDLES, np.full((N, 2), 2 * STRIDE)])
"""Around each cell a box of twice its size: middles and sizes."""
CORNERS = np.hstack([ROUND[:, :2] - STRIDE, ROUND[:, :2] + STRIDE])


def quiet(value: float, text: str = "") -> None:
    """No page is told of the progress."""


def scores(graph: Graph, picture: str, channel: int = 0, unit: float = 1.0) -> str:
    """(1, n, 2): for each cell how red, and how blue, it is."""
    classes = [graph.redness(picture, STRIDE, unit, each) for each in (channel, 2 - channel)]
    both = graph.node("Concat", *classes, axis=1)
    rows = graph.node("Reshape", both, graph.constant([1, 2, N], np.int64))
    return graph.node("Transpose", rows, perm=[0, 2, 1])


def yolo8(path: Path) -> Path:
    graph = Graph()
    columns = graph.node("Transpose", scores(graph, "images"), perm=[0, 2, 1])
    graph.node("Concat", graph.constant(ROUND.T[None]), columns, output="output0", axis=1)
    names = {"names": "{0: 'red', 1: 'blue'}"}
    return graph.write(path, {"images": ([1, 3, SIDE, SIDE], FLOAT)}, {"output0": [1, 6, N]}, names)


def yolo5(path: Path) -> Path:
    graph = Graph()
    # Three anchors a cell, of which one is any good: 192 rows, which are on no grid.
    sure = graph.constant(np.full((1, N, 1), 1.0))
    rows = graph.node("Concat", graph.constant(ROUND[None]), sure, scores(graph, "images"), axis=2)
    none = graph.constant(np.tile(np.hstack([ROUND, np.zeros((N, 3))]), (2, 1))[None])
    graph.node("Concat", rows, none, output="output", axis=1)
    return graph.write(path, {"images": ([1, 3, SIDE, SIDE], FLOAT)}, {"output": [1, 3 * N, 7]})


def yolo_end_to_end(path: Path) -> Path:
    graph = Graph()
    red = graph.node("Slice", scores(graph, "images"), *_range(graph, 0, 1, 2))
    parts = [graph.constant(CORNERS[None]), red, graph.constant(np.zeros((1, N, 1)))]
    graph.node("Concat", *parts, output="output0", axis=2)
    return graph.write(path, {"images": ([1, 3, SIDE, SIDE], FLOAT)}, {"output0": [1, N, 6]})


def yolox(path: Path) -> Path:
    graph = Graph()
    # Of pictures as OpenCV has them: red is the last channel, and up to 255.
    first = scores(graph, "images", channel=2, unit=255)
    raw = np.hstack([np.full((N, 2), 0.5), np.full((N, 2), np.log(2)), np.ones((N, 1))])
    rows = [graph.node("Concat", graph.constant(raw[None]), first, axis=2)]
    rows.append(graph.constant(np.zeros((1, 16 + 4, 7))))  # the coarser grids see nothing
    graph.node("Concat", *rows, output="output", axis=1)
    return graph.write(path, {"images": ([1, 3, SIDE, SIDE], FLOAT)}, {"output": [1, N + 20, 7]})


def tensorflow_ssd(path: Path) -> Path:
    graph = Graph()
    floats = graph.node("Cast", "image_tensor", to=FLOAT)
    picture = graph.node("Transpose", floats, perm=[0, 3, 1, 2])
    red = graph.node("Slice", scores(graph, picture, unit=255), *_range(graph, 0, 1, 2))
    flat = graph.constant([1, N], np.int64)
    graph.node("Reshape", red, flat, output="detection_scores")
    boxes = graph.constant(CORNERS[None][..., [1, 0, 3, 2]] / SIDE)
    graph.node("Identity", boxes, output="detection_boxes")
    graph.node("Identity", graph.constant(np.full((1, N), 17.0)), output="detection_classes")
    outputs = {"detection_boxes": [1, N, 4], "detection_classes": [1, N]}
    return graph.write(
        path,
        {"image_tensor": ([1, SIDE, SIDE, 3], UINT8)},
        {**outputs, "detection_scores": [1, N]},
    )


def plain_ssd(path: Path) -> Path:
    graph = Graph()
    nothing = graph.constant(np.zeros((1, N, 1)))
    graph.node("Concat", nothing, scores(graph, "input"), output="scores", axis=2)
    graph.node("Identity", graph.constant(CORNERS[None] / SIDE), output="boxes")
    return graph.write(
        path,
        {"input": ([1, 3, SIDE, SIDE], FLOAT)},
        {"scores": [1, N, 3], "boxes": [1, N, 4]},
    )


def detr(path: Path) -> Path:
    graph = Graph()
    steep = graph.node("Mul", scores(graph, "pixel_values"), graph.constant(20.0))
    graph.node("Sub", steep, graph.constant(10.0), output="logits")
    graph.node("Identity", graph.constant(ROUND[None] / SIDE), output="pred_boxes")
    return graph.write(
        path,
        {"pixel_values": ([1, 3, SIDE, SIDE], FLOAT)},
        {"logits": [1, N, 2], "pred_boxes": [1, N, 4]},
    )


def rt_detr(path: Path) -> Path:
    graph = Graph()
    red = graph.node("Slice", scores(graph, "images"), *_range(graph, 0, 1, 2))
    graph.node("Reshape", red, graph.constant([1, N], np.int64), output="scores")
    size = graph.node("Cast", "orig_target_sizes", to=FLOAT)
    sizes = graph.node("Concat", size, size, axis=1)
    graph.node("Mul", graph.constant(CORNERS[None] / SIDE), sizes, output="boxes")
    graph.node("Identity", graph.constant(np.zeros((1, N))), output="labels")
    return graph.write(
        path,
        {"images": ([1, 3, SIDE, SIDE], FLOAT), "orig_target_sizes": ([1, 2], INT64)},
        {"labels": [1, N], "boxes": [1, N, 4], "scores": [1, N]},
    )


def _range(graph: Graph, start: int, end: int, axis: int) -> list[str]:
    return [graph.constant([number], np.int64) for number in (start, end, axis)]


NETWORKS: list[tuple[Callable[[Path], Path], list[str], str]] = [
    (yolo8, [], "red"),
    (yolo5, ["rouge", "bleu"], "rouge"),
    (yolo_end_to_end, [], "person"),
    (yolox, [], "class 0"),  # two classes are not those of COCO
    (tensorflow_ssd, [], "cat"),
    (plain_ssd, ["red", "blue"], "red"),
    (detr, [], "class 0"),
    (rt_detr, [], "person"),
]


def picture(column: int, row: int) -> NDArray[np.uint8]:
    """Grey, twice as wide as high; a cell of it is red, once it is scaled to 64 across."""
    image = np.full((SIDE, 2 * SIDE, 3), 90, np.uint8)
    cell = 2 * STRIDE
    image[row * cell : (row + 1) * cell, column * cell : (column + 1) * cell] = (0, 0, 255)
    return image


@pytest.mark.parametrize(
    ("write", "names", "label"), NETWORKS, ids=lambda v: getattr(v, "__name__", "")
)
def test_every_family(
    write: Callable[[Path], Path], names: list[str], label: str, tmp_path: Path
) -> None:
    """What is red is found where it is, in the picture's own pixels, and called what it is."""
    pytest.importorskip("onnxruntime", reason="pip install 'rtcstream[models]'")
    detect = Detector(write(tmp_path / "model.onnx"), names, quiet)
    for column, row in ((2, 1), (5, 2)):
        [box] = detect(picture(column, row), 0.5, 0.5)
        middle = 16 * column + 8, 16 * row + 8
        assert (box.x + box.width / 2, box.y + box.height / 2) == pytest.approx(middle, abs=1)
        assert (box.width, box.height) == pytest.approx((32, 32), abs=1)
        assert box.label == label and box.score == pytest.approx(1, abs=0.05)
    assert detect(picture(9, 9), 0.5, 0.5) == []


def test_size_of_any(tmp_path: Path) -> None:
    """A network of pictures of any size is given the size that it says it was taught with."""
    pytest.importorskip("onnxruntime", reason="pip install 'rtcstream[models]'")
    graph = Graph()
    graph.node("Concat", scores(graph, "images"), graph.constant(ROUND[None]), output="y", axis=2)
    any_size: list[int | str] = [1, 3, "height", "width"]
    sides = {"images": (any_size, FLOAT)}
    said = {"imgsz": f"[{SIDE}, {SIDE}]"}
    detect = Detector(graph.write(tmp_path / "x.onnx", sides, {"y": [1, N, 6]}, said), [], quiet)
    assert (detect._height, detect._width) == (SIDE, SIDE)


def test_gpu_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where onnxruntime has CUDA, a network is to run there, and on the CPU what cannot."""
    onnxruntime = pytest.importorskip("onnxruntime", reason="pip install 'rtcstream[models]'")
    there = ["TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"]
    asked: list[list[str]] = []
    here = onnxruntime.InferenceSession

    def session(path: Path, settings: Any, providers: list[str]) -> Any:
        asked.append(providers)
        return here(path, settings, providers=["CPUExecutionProvider"])

    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: there)
    monkeypatch.setattr(onnxruntime, "InferenceSession", session)
    Network(yolo8(tmp_path / "model.onnx"))
    assert asked == [["CUDAExecutionProvider", "CPUExecutionProvider"]]


@pytest.mark.parametrize("write", [yolo8, yolo5, plain_ssd])
def test_with_opencv_alone(
    write: Callable[[Path], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without onnxruntime OpenCV runs the network, which takes 640 pixels there."""
    monkeypatch.setitem(__import__("sys").modules, "onnxruntime", None)
    monkeypatch.setattr("rtcstream.examples._detectors.SIDE", SIDE)
    detect = Detector(write(tmp_path / "model.onnx"), ["red", "blue"], quiet)
    [box] = detect(picture(2, 1), 0.5, 0.5)
    assert (box.label, round(box.x), round(box.width)) == ("red", 24, 32)


def test_overlapping(tmp_path: Path) -> None:
    """Of neighbours that overlap one stays, unless more overlap is allowed; of two classes both."""
    pytest.importorskip("onnxruntime", reason="pip install 'rtcstream[models]'")
    detect = Detector(yolo8(tmp_path / "model.onnx"), [], quiet)
    image = picture(2, 1)
    image[16:32, 48:64] = (0, 0, 250)  # the cell to the right, a little less
    assert len(detect(image, 0.5, 0.3)) == 1
    assert len(detect(image, 0.5, 0.34)) == 2
    image[16:32, 48:64] = (250, 0, 0)
    assert sorted(box.label for box in detect(image, 0.5, 0.3)) == ["blue", "red"]


@given(st.data())
def test_suppression_is_what_the_loop_does(data: st.DataObject) -> None:
    """The vectorised suppression keeps what comparing one by one keeps."""
    number = st.integers(0, 12)
    rows = data.draw(st.lists(st.tuples(number, number, number, number, number), max_size=20))
    boxes = np.array([[x, y, x + w, y + h] for x, y, w, h, _ in rows], float).reshape(-1, 4)
    classes = np.array([each[4] % 2 for each in rows], int)
    sure = np.random.default_rng(len(rows)).permutation(len(rows)) / 20
    limit = data.draw(st.floats(0, 1))
    kept: list[int] = []
    for one in np.argsort(-sure, kind="stable"):
        if all(
            classes[one] != classes[other] or _iou(boxes[one], boxes[other]) <= limit
            for other in kept
        ):
            kept.append(int(one))
    assert survivors(boxes, sure, classes, limit).tolist() == kept


def _iou(one: Any, other: Any) -> float:
    across = max(min(one[2], other[2]) - max(one[0], other[0]), 0)
    down = max(min(one[3], other[3]) - max(one[1], other[1]), 0)
    areas = [(each[2] - each[0]) * (each[3] - each[1]) for each in (one, other)]
    either = sum(areas) - across * down
    return float(across * down / either) if either else 0.0


@given(st.integers(1, 200), st.integers(1, 200))
def test_letterbox(width: int, height: int) -> None:
    """A picture of any shape fits in, in its own proportions, and the rest is grey."""
    framed, scale = letterbox(np.full((height, width, 3), 255, np.uint8), 64, 48)
    assert framed.shape == (48, 64, 3)
    white = cv2.boundingRect((framed[..., 0] > 200).astype(np.uint8))
    assert white[:2] == (0, 0)
    assert white[2:] == pytest.approx((width * scale, height * scale), abs=1)
    assert white[2] == 64 or white[3] == 48


def test_what_cannot_be_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """No file, a network that detects nothing, and no weights at all: each is said in words."""
    pytest.importorskip("onnxruntime", reason="pip install 'rtcstream[models]'")
    monkeypatch.setattr("sys.argv", ["object_detection", "--model", str(tmp_path / "none.onnx")])
    with pytest.raises(SystemExit):
        chosen(quiet)
    assert "argument --model: there is no file" in capsys.readouterr().err
    graph = Graph()
    graph.node("Relu", "x", output="y")
    other = graph.write(tmp_path / "other.onnx", {"x": ([1, 3, 8, 8], FLOAT)}, {"y": [1, 3, 8, 8]})
    with pytest.raises(ValueError, match=r"outputs are of no detector known here: \{'y'"):
        Detector(other, [], quiet)
    graph = Graph()
    for name in ("scores_8", "scores_16"):
        graph.node("Identity", scores(graph, "x"), output=name)
    sizes = {"scores_8": [1, N, 2], "scores_16": [1, N, 2]}
    many = graph.write(tmp_path / "many.onnx", {"x": ([1, 3, SIDE, SIDE], FLOAT)}, sizes)
    with pytest.raises(ValueError, match=r"outputs are of no detector known here: \{'scores_8'"):
        Detector(many, [], quiet)
    monkeypatch.setattr("sys.argv", ["object_detection", "--model", str(many)])
    with pytest.raises(LoadingFailed, match="is of another kind: its outputs are of no detector"):
        Shared(chosen).ask(quiet)
    (tmp_path / "text.onnx").write_text("hello\n" * 99, "utf-8")
    with pytest.raises(LoadingFailed, match=r"^text\.onnx cannot be read as a network: .+"):
        Network(tmp_path / "text.onnx")
    monkeypatch.setattr("sys.argv", ["object_detection"])
    monkeypatch.setattr("rtcstream.examples._faces.packaged", missing)
    with pytest.raises(Missing, match=r"--model FILE.onnx.*pip install 'rtcstream\[models\]'"):
        chosen(quiet)


def missing(distribution: str, path: str) -> Path:
    raise Missing("it is not there")


def test_names_of_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``--model`` and ``--classes`` name a network and its classes."""
    pytest.importorskip("onnxruntime", reason="pip install 'rtcstream[models]'")
    model = yolo8(tmp_path / "model.onnx")
    (tmp_path / "names.txt").write_text("rot\nblau\n", "utf-8")
    given = ["--model", str(model), "--classes", str(tmp_path / "names.txt")]
    monkeypatch.setattr("sys.argv", ["object_detection", *given])
    found: list[Box] = chosen(quiet)(picture(2, 1), 0.5, 0.5)
    assert [box.label for box in found] == ["rot"]
