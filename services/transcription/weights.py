"""Which fetched weights the engine hears with: on a GPU Whisper turbo and wav2vec2; the CPU's come inside packages."""

from __future__ import annotations

from pathlib import Path

from services.transcription.settings import Options, Settings
from shared.engines import Watch
from shared.errors import BadInputError
from shared.hub import Hub
from shared.models import ALIGNER, WHISPER, WHISPER_FILES, HubModel, folder_of, gpu_wanted, parse_model
from shared.shelf import Shelf, Want, from_hub

TURBO = ("large-v3-turbo", "turbo")


def needed(settings: Settings) -> tuple[HubModel, ...]:
    """Models of the hub, in the order in which they are used."""
    return tuple(model for model in (_whisper(settings), _aligner(settings)) if model)


def open_shelf(settings: Settings, hub: Hub) -> Shelf:
    """Brings them; a TRANSCRIPTION_MODEL that is neither of the hub nor a folder is refused with advice."""
    wants = [from_hub(model, hub) for model in needed(settings)]
    if settings.model and _whisper(settings) is None:
        wants.insert(0, _own_folder(Path(settings.model)))
    return Shelf(wants)


def options_of(settings: Settings) -> Options:
    """What the engine is told: folders instead of names."""
    whisper, aligner = _whisper(settings), _aligner(settings)
    folder = str(folder_of(settings.models_dir, whisper).absolute()) if whisper else ""
    return Options(
        device=settings.device,
        model=(folder or settings.model) if settings.model else "",
        gpu_model=folder,
        english_aligner=str(folder_of(settings.models_dir, aligner).absolute()) if aligner else "",
        compute_type=settings.compute_type,
        batch_size=settings.batch_size,
        aligner=settings.aligner,
        diariser=settings.diariser,
        diariser_model=settings.diariser_model,
    )


def _whisper(settings: Settings) -> HubModel | None:
    if settings.model in TURBO:
        return WHISPER
    if settings.model:
        return parse_model(settings.model, WHISPER_FILES)
    return WHISPER if gpu_wanted(settings.device) else None


def _aligner(settings: Settings) -> HubModel | None:
    """wav2vec2 hears English alone; other languages have Whisper's own times, or what lies in torch's cache."""
    if settings.aligner == "wav2vec2" or (settings.aligner == "auto" and gpu_wanted(settings.device)):
        return ALIGNER
    return None


def _own_folder(folder: Path) -> Want:
    def refuse(job: Watch) -> None:
        raise BadInputError(
            f"TRANSCRIPTION_MODEL is {folder}, and there is no such folder; set it to a folder with a CTranslate2 "
            "Whisper model, to owner/name@commit, or to large-v3-turbo"
        )

    return Want(folder.name, folder, folder.is_dir, refuse, doing="waiting")
