"""Image files as a source, compared with what Pillow decodes."""

import contextlib
import warnings

import numpy as np
import pytest
import torch
from PIL import Image

import fireworks as fw
from fireworks.errors import FileChangedError, FileFormatError, MissingExtraError, QuarantineWarning
from fireworks.formats.image_source import ImageSource, read_images

PATHS = [f"{kind}/{number}.png" for kind in ("cat", "dog", "eel") for number in range(5)]


def pixels(seed, height=6, width=8, channels=3):
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels), dtype=np.uint8)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("images")
    for number, name in enumerate(PATHS):
        (path / name).parent.mkdir(exist_ok=True)
        Image.fromarray(pixels(number)).save(path / name)
    (path / "notes.txt").write_text("no image")
    return path


class TestImageSource(fw.testing.PipeContract):
    @pytest.fixture(params=["rows", "resized", "batched", "shuffled", "stream"])
    def make_pipe(self, folder, request):
        def make():
            if request.param == "resized":
                return read_images(folder, size=(3, 4), mode="L")
            if request.param == "stream":
                return read_images(folder, on_error="quarantine")
            data = read_images(folder)
            if request.param == "batched":
                return data.batch(4)
            return data.shuffle(seed=0) if request.param == "shuffled" else data

        return make


def saved(tmp_path, image, name="1.png", **options):
    image.save(tmp_path / name, **options)
    return tmp_path / name


def one(path, **options):
    return read_images(path, label=None, **options).to_message()["image"][0].numpy()


def test_images_labels_and_paths_come_in_the_order_of_their_names(folder):
    pipe = read_images(folder)
    message = pipe.to_message()
    assert message["image"].numpy().tolist() == [pixels(number).tolist() for number in range(15)]
    assert message["label"].tolist() == [name[:3] for name in PATHS]
    assert message["label"].dtype.categories.tolist() == ["cat", "dog", "eel"]
    assert message["path"].tolist() == PATHS
    assert pipe[[11, 2]]["image"].numpy().tolist() == [pixels(11).tolist(), pixels(2).tolist()]
    assert pipe[[4]]["label"].dtype == message["label"].dtype
    assert pipe.schema == message.schema == pipe[:0].schema
    assert repr(pipe) == "Images(0.png and 14 more: image, label, path)"


def test_the_class_of_a_pattern_or_a_list_is_the_folder_that_a_file_is_in(folder):
    assert read_images(str(folder / "*" / "1.png")).to_message()["label"].tolist() == ["cat", "dog", "eel"]
    assert read_images([folder / "eel" / "1.png"]).to_message()["label"].tolist() == ["eel"]


def test_the_class_is_the_first_folder_below(tmp_path):
    (tmp_path / "b" / "deep").mkdir(parents=True)
    saved(tmp_path / "b" / "deep", Image.new("L", (2, 2)))
    assert read_images(tmp_path).to_message().select("label", "path").to_dict() == {
        "label": ["b"],
        "path": ["b/deep/1.png"],
    }


def test_without_the_image_nothing_is_decoded_and_without_a_label_none_is_needed(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "1.png").write_bytes(b"no image")
    assert read_images(tmp_path, size=(2, 2)).select("label", "path").to_message().to_dict() == {
        "label": ["a"],
        "path": ["a/1.png"],
    }
    saved(tmp_path, Image.new("L", (2, 2)))
    assert read_images(tmp_path / "1.png", label=None).known_columns == ["image", "path"]


class TestWhatPillowDecodes:
    @pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr"])
    @pytest.mark.parametrize("wanted", ["L", "RGB", "RGBA"])
    def test_every_mode_is_converted_as_pillow_does(self, tmp_path, mode, wanted):
        image = Image.fromarray(pixels(1)).convert("RGBA" if mode == "PA" else "RGB").convert(mode)
        path = saved(tmp_path, image, "1.tiff" if mode in {"CMYK", "YCbCr", "PA"} else "1.png")
        with Image.open(path) as opened:
            expected = np.array(opened.convert(wanted)).reshape(6, 8, -1)
        assert np.array_equal(one(path, mode=wanted), expected)

    @pytest.mark.parametrize("kind", ["png", "jpg", "bmp", "gif", "webp", "tiff", "ppm"])
    def test_every_format_and_sizes_too(self, tmp_path, kind):
        path = saved(tmp_path, Image.fromarray(pixels(2, 30, 20)), f"1.{kind}")
        with Image.open(path) as opened:
            expected = opened.convert("RGB")
        assert np.array_equal(one(path), np.array(expected))
        resized = expected.resize((7, 9), Image.Resampling.BILINEAR)
        assert np.array_equal(one(path, size=(9, 7)), np.array(resized))

    @pytest.mark.parametrize("orientation", range(1, 9))
    def test_a_photograph_is_turned_as_its_exif_says(self, tmp_path, orientation):
        exif = Image.Exif()
        exif[0x0112] = orientation
        array = pixels(3)
        path = saved(tmp_path, Image.fromarray(array), exif=exif)
        turns = [
            array,
            array[:, ::-1],
            array[::-1, ::-1],
            array[::-1],
            array.swapaxes(0, 1),
            np.rot90(array, -1),
            array[::-1, ::-1].swapaxes(0, 1),
            np.rot90(array),
        ]
        pipe = read_images(path, label=None)
        assert pipe.schema["image"].shape == turns[orientation - 1].shape
        assert np.array_equal(one(path), turns[orientation - 1])

    def test_of_sixteen_bits_the_upper_eight_or_all(self, tmp_path):
        deep = np.arange(48, dtype=np.uint16).reshape(6, 8) * 1000
        for name in ("1.png", "1.tiff"):
            path = saved(tmp_path, Image.fromarray(deep), name)
            assert np.array_equal(one(path, mode="L")[..., 0], deep >> 8)
            assert np.array_equal(one(path)[..., 2], deep >> 8)
            whole = read_images(path, mode="I;16", label=None)
            assert whole.schema["image"].dtype == torch.uint16
            assert np.array_equal(whole.to_message()["image"].numpy()[0, ..., 0], deep)
        flat = saved(tmp_path, Image.fromarray(np.full((6, 8), 40_000, dtype=np.uint16)))
        assert (one(flat, mode="I;16", size=(3, 5)) == 40_000).all()

    def test_of_an_animation_the_first_frame(self, tmp_path):
        frames = [Image.new("RGB", (4, 3), colour) for colour in ("red", "blue")]
        path = saved(tmp_path, frames[0], "1.gif", save_all=True, append_images=frames[1:])
        assert one(path)[0, 0].tolist() == [255, 0, 0]


class TestWhatIsRefused:
    def test_images_of_unequal_sizes_name_the_argument_that_resizes(self, tmp_path):
        saved(tmp_path, Image.new("L", (8, 6)), "1.png")
        saved(tmp_path, Image.new("L", (9, 6)), "2.png")
        with pytest.raises(
            FileFormatError,
            match=r"2\.png' can't be used: it is 6 pixels high and 9 wide, and the first is 6 high and 8 wide; pass "
            r"size=\(6, 8\)",
        ):
            read_images(tmp_path, label=None).to_message()
        assert read_images(tmp_path, label=None, size=(6, 8)).to_message()["image"].shape == (2, 6, 8, 3)

    @pytest.mark.parametrize("kind", ["png", "jpg", "gif", "tiff", "webp", "bmp"])
    def test_an_image_that_was_cut_short_at_any_place(self, tmp_path, kind):
        path = saved(tmp_path, Image.fromarray(pixels(4, 40, 40)), f"1.{kind}")
        data = path.read_bytes()
        for length in np.linspace(0, len(data) * 3 // 4, 12).astype(int).tolist():
            path.write_bytes(data[:length])
            with pytest.raises(FileFormatError, match=rf"^read_images: '.*1\.{kind}' can't be used: "):
                one(path, size=(4, 4))

    def test_bytes_that_were_changed_end_in_an_image_or_in_one_kind_of_error(self, tmp_path):
        random = np.random.default_rng(0)
        path = saved(tmp_path, Image.fromarray(pixels(4, 40, 40)), "1.jpg")
        data = np.frombuffer(path.read_bytes(), dtype=np.uint8)
        with warnings.catch_warnings(action="ignore"):  # Pillow's, of EXIF that makes no sense
            for _ in range(60):
                wrong = data.copy()
                wrong[random.integers(0, len(data), 20)] = random.integers(0, 256, 20)
                path.write_bytes(wrong.tobytes())
                with contextlib.suppress(FileFormatError):
                    assert one(path, size=(4, 4)).shape == (4, 4, 3)

    def test_the_first_of_several_bad_ones_is_named_with_its_row(self, folder, tmp_path):
        for number in range(6):
            (tmp_path / f"{number}.png").write_bytes(
                (folder / PATHS[number]).read_bytes()[: 40 if number in {2, 4} else None]
            )
        with pytest.raises(FileFormatError, match=r"2\.png' can't be used: ") as caught:
            read_images(tmp_path, label=None).to_message()
        assert any("fetching rows" in note for note in caught.value.__notes__)

    def test_pixels_of_32_bits_and_a_mode_without_16(self, tmp_path):
        path = saved(tmp_path, Image.fromarray(np.ones((3, 3), dtype=np.float32)), "1.tiff")
        with pytest.raises(FileFormatError, match="its pixels are 32-bit numbers, mode 'F'; save it with 8 or 16 bits"):
            one(path)
        path = saved(tmp_path, Image.new("RGB", (3, 3)))
        with pytest.raises(FileFormatError, match="it has mode 'RGB' and no 16 bits of gray; pass mode='L' or 'RGB'"):
            one(path, mode="I;16")

    def test_an_image_that_would_fill_the_memory(self, tmp_path, monkeypatch):
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
        path = saved(tmp_path, Image.new("L", (8, 6)))
        with pytest.raises(FileFormatError, match=r"can't be used: Image size \(48 pixels\) exceeds limit"):
            one(path)

    @pytest.mark.parametrize(
        ("options", "text"),
        [
            ({"mode": "RBG"}, r"mode must be one of \['L', 'RGB', 'RGBA', 'I;16'\]; got 'RBG'\. Did you mean 'RGB'\?"),
            ({"label": "name"}, "label must be 'folder' or None; got 'name'"),
            ({"on_error": "skip"}, "on_error must be 'raise' or 'quarantine'; got 'skip'"),
            ({"size": 224}, r"size is a height and a width, such as \(224, 224\); got 224"),
            ({"size": (224, 0)}, "read_images: size must be an int of at least 1; got 0"),
        ],
    )
    def test_arguments_that_make_no_sense(self, folder, options, text):
        with pytest.raises(ValueError, match=text):
            read_images(folder, **options)

    def test_an_image_in_no_folder_of_a_class(self, folder, tmp_path):
        saved(tmp_path, Image.new("L", (8, 6)))
        with pytest.raises(
            ValueError, match=r"1\.png' is in no folder of a class; move it into one, or pass label=None"
        ):
            read_images(tmp_path)

    def test_a_folder_without_images(self, tmp_path):
        with pytest.raises(FileNotFoundError, match=r"no file in the folder .* ends in \.png or \.jpg"):
            read_images(tmp_path)

    def test_pillow_is_named_where_it_is_missing(self, folder, monkeypatch):
        monkeypatch.setitem(__import__("sys").modules, "PIL.Image", None)
        with pytest.raises(MissingExtraError, match=r"read_images needs PIL.* pip install 'fireworks-torch\[images\]'"):
            read_images(folder)

    def test_an_image_that_changes_during_a_pass(self, tmp_path):
        path = saved(tmp_path, Image.new("L", (8, 6)))
        pipe = read_images(path, label=None)
        assert len(pipe[0]) == 1
        saved(tmp_path, Image.new("L", (8, 6), 7))
        path.write_bytes(path.read_bytes() + b" ")
        with pytest.raises(FileChangedError, match=r"1\.png' has changed since the source was made"):
            pipe[0]
        with pytest.raises(FileChangedError, match=r"1\.png' has changed since the source was made"):
            pipe.require_unchanged()


class TestQuarantine:
    @pytest.fixture
    def broken(self, folder, tmp_path):
        for name in PATHS:
            (tmp_path / name).parent.mkdir(exist_ok=True)
            data = (folder / name).read_bytes()
            (tmp_path / name).write_bytes(data[:50] if name in {PATHS[0], PATHS[6], PATHS[14]} else data)
        Image.new("RGB", (3, 3)).save(tmp_path / PATHS[7])
        return tmp_path

    def test_bad_images_are_set_aside_with_their_rows_and_reasons(self, broken):
        pipe = read_images(broken, on_error="quarantine")
        with pytest.warns(
            QuarantineWarning, match=r"4 rows were set aside by Images\(.*rows \[0, 6, 7, 14\] of the source"
        ):
            rows = pipe.to_message()
        good = [n for n in range(15) if n not in {0, 6, 7, 14}]
        assert rows["image"].numpy().tolist() == [pixels(n).tolist() for n in good]
        assert rows["path"].tolist() == [PATHS[n] for n in good]
        aside = pipe.quarantined()
        assert aside["row"].tolist() == [0, 6, 7, 14]
        assert aside["path"].tolist() == [PATHS[n] for n in (0, 6, 7, 14)]
        assert aside["label"].tolist() == ["cat", "dog", "dog", "eel"]
        assert "it is 3 pixels high and 3 wide" in aside["reason"][2]

    def test_it_resumes_behind_bad_images(self, broken):
        with warnings.catch_warnings(action="ignore"):
            whole = list(read_images(broken, on_error="quarantine"))
            for stop in range(len(whole)):
                iterator = iter(read_images(broken, on_error="quarantine"))
                for _ in range(stop):
                    next(iterator)
                again = iter(read_images(broken, on_error="quarantine"))
                again.load_state_dict(iterator.state_dict())
                assert list(again) == whole[stop:]

    def test_the_images_are_looked_at_whichever_columns_are_wanted(self, broken):
        with pytest.warns(QuarantineWarning, match="4 rows were set aside"):
            assert len(read_images(broken, on_error="quarantine").select("path").to_message()) == 11

    def test_a_folder_of_bad_images_only(self, tmp_path):
        (tmp_path / "1.png").write_bytes(b"bad")
        with pytest.raises(FileFormatError, match="none of the 1 files is an image"):
            read_images(tmp_path, label=None, on_error="quarantine").to_message()


def test_fingerprints_are_of_the_pixels_and_of_how_they_are_decoded(folder, tmp_path):
    first = ImageSource(folder).fingerprint()
    for name in PATHS:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    assert ImageSource(tmp_path).fingerprint() == first
    assert ImageSource(tmp_path, mode="L").fingerprint() != first
    assert ImageSource(tmp_path, label=None).fingerprint() != first
    (tmp_path / PATHS[0]).rename(tmp_path / "dog" / "9.png")
    assert ImageSource(tmp_path).fingerprint() != first


def test_process_workers_decode_after_a_fork(folder):
    pipe = read_images(folder)
    expected = pipe.to_message()  # which starts the threads here
    batches = list(pipe.map(same, workers=2, backend="process").batch(4))
    assert fw.concat(batches) == expected


def same(rows):
    return rows


def test_no_folder_is_an_error_at_once(tmp_path):
    with pytest.raises(
        FileNotFoundError, match=r"read_images: there is no folder or file '.*nowhere'; mend the path\."
    ):
        fw.read_images(tmp_path / "nowhere")
