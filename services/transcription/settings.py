"""What an operator of the transcription service may set: each field is one TRANSCRIPTION_* environment variable."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic_settings import SettingsConfigDict

from shared.settings import ServiceSettings


class Options(BaseModel):
    """How the engine hears; sent to it with every call. Empty and auto fit the device: see `engine.Ear`.

    model             folder of a Whisper model; empty: `gpu_model` on a GPU, the packaged one on a CPU
    english_aligner   folder of a wav2vec2 model for English; empty: none was fetched
    """

    model_config = ConfigDict(frozen=True)

    device: Literal["auto", "cpu", "cuda"] = "auto"
    model: str = ""
    gpu_model: str = ""
    english_aligner: str = ""
    compute_type: str = "auto"
    batch_size: int = 0
    aligner: Literal["auto", "wav2vec2", "pocketsphinx", "whisper"] = "auto"
    diariser: Literal["auto", "community-1", "packaged"] = "auto"
    diariser_model: str = ""


class Limits(BaseModel):
    """From where on we are sure; the defaults are measured with the packaged voice encoder (GE2E)."""

    model_config = ConfigDict(frozen=True)

    host_accept: float = 0.85
    host_lead: float = 0.05
    same_voice: float = 0.87
    enrol_s: float = 5.0
    review_margin: float = 0.05
    review_short_s: float = 1.0
    review_doubt: float = 0.3


class Settings(ServiceSettings):
    model_config = SettingsConfigDict(env_prefix="TRANSCRIPTION_", frozen=True)

    engine_command: str = Field(
        default="", description="program of the engine; this Python with services.transcription.engine when empty"
    )
    device: Literal["auto", "cpu", "cuda"] = Field(default="auto", description="auto takes a GPU if there is one")
    model: str = Field(
        default="",
        description="Whisper as large-v3-turbo, owner/name@commit or a folder; empty: that on a GPU, tiny.en on a CPU",
    )
    compute_type: str = Field(default="auto", description="of CTranslate2; auto: float16 on a GPU, int8 on a CPU")
    batch_size: int = Field(
        default=0, ge=0, description="30 s pieces per step; 0: 16 on a GPU, 4 on a CPU; halve on OOM"
    )
    aligner: Literal["auto", "wav2vec2", "pocketsphinx", "whisper"] = Field(
        default="auto", description="word times; auto: wav2vec2 on a GPU or where it is at hand, else pocketsphinx"
    )
    diariser: Literal["auto", "community-1", "packaged"] = Field(
        default="auto", description="tells voices apart; auto: community-1 where DIARISER_MODEL is set, else packaged"
    )
    diariser_model: str = Field(
        default="", description="folder of pyannote/speaker-diarization-community-1, which you fetch yourself"
    )
    host_accept: float = Field(
        default=0.85, ge=0, le=1, description="cosine to the voiceprint from which it is the host"
    )
    host_lead: float = Field(default=0.05, ge=0, le=1, description="by which the host must beat all other voices")
    same_voice: float = Field(default=0.87, ge=0, le=1, description="two voices nearer than this may be one person")
    enrol_s: float = Field(default=5.0, gt=0, description="seconds of speech that a voiceprint needs")
    review_margin: float = Field(default=0.05, ge=0, le=1, description="with a smaller voice margin a turn is doubtful")
    review_short_s: float = Field(default=1.0, ge=0, description="shorter turns are more doubtful")
    review_doubt: float = Field(default=0.3, ge=0, le=1, description="turns are flagged from this doubt on")

    @property
    def limits(self) -> Limits:
        return Limits.model_validate(self.model_dump(include=set(Limits.model_fields)))
