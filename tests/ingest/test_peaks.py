import numpy as np
import pytest

from services.ingest import peaks
from services.ingest.peaks import Peaks
from shared.errors import BadInputError


def samples(*values: int, each: int = 800) -> bytes:
    return np.repeat(np.array(values, dtype="<i2"), each).tobytes()


def built(data: bytes, piece: int = 10**9) -> Peaks:
    made = Peaks()
    for at in range(0, len(data), piece):
        made.add(data[at : at + piece])
    return made


def test_each_pixel_holds_the_lowest_and_highest_of_its_50_ms():
    loud = np.zeros(1600, dtype="<i2")
    loud[10], loud[20], loud[900] = 12_800, -25_600, 32_767

    wave = peaks.read(built(loud.tobytes()).dat())

    assert (wave.rate_hz, wave.samples_per_pixel) == (16_000, 800)
    assert wave.lows.tolist() == [-100, 0] and wave.highs.tolist() == [50, 127]


def test_the_file_is_audiowaveforms_version_2_byte_for_byte():
    data = built(samples(256, -512)).dat()

    assert data.hex(" ", 4) == "02000000 01000000 803e0000 20030000 02000000 01000000 0101fefe"


def test_the_extremes_of_16_bits_fit_and_small_ones_are_cut_towards_zero():
    wave = peaks.read(built(samples(-32_768, 32_767, 255, -255, -257)).dat())

    assert wave.lows.tolist() == wave.highs.tolist() == [-128, 127, 0, 0, -1]


@pytest.mark.parametrize("piece", [1, 3, 799, 1600, 1601, 65_536])
def test_the_size_of_the_pieces_changes_nothing(piece: int):
    data = np.random.default_rng(7).integers(-32_768, 32_767, 5_333, dtype="<i2").tobytes()

    made = built(data, piece)

    assert made.dat() == built(data).dat()
    assert made.samples == 5_333 and made.duration_s == pytest.approx(0.3333, abs=1e-4)
    assert len(peaks.read(made.dat()).lows) == 7  # six whole pixels and the rest


def test_no_sound_is_an_empty_waveform():
    assert len(peaks.read(Peaks().dat()).lows) == 0


def test_an_hour_is_held_in_the_size_of_its_waveform():
    made = Peaks()
    for _ in range(3600):
        made.add(bytes(32_000))

    assert len(made.dat()) == 24 + 3600 * 40


@pytest.mark.parametrize(
    "data",
    [b"", b"scripted", built(samples(1, 2)).dat()[:-1], b"\x01" + built(samples(1)).dat()[1:]],
    ids=["empty", "alien", "cut", "version 1"],
)
def test_what_is_no_waveform_is_refused(data: bytes):
    with pytest.raises(BadInputError, match="again"):
        peaks.read(data)
