

def convert(arguments: dict[str, Any], reporter: Reporter) -> dict[str, Any]:
    """Decode the first audio stream into the working copy, measure it on the way, refuse what is no speech at all."""
    limits = Limits.model_validate(arguments["limits"])
    original, folder = Path(arguments["original"]), Path(arguments["folder"])
    _refuse_size(original, limits)
    working, tags = folder / "working.flac", folder / "tags.txt"
    command = audio.command(_ffmpeg(arguments["ffmpeg"]), original, working, tags, limits)
    log, code = _run_ffmpeg(command, limits, reporter)
    if code != 0:
        print(log[-4000:], file=sys.stderr, flush=True)
        raise audio.failure(log, code)
    probe = audio.parse_log(log)
    warnings = audio.judge(probe, log, limits)
    found = metadata.from_tags(*audio.parse_tags(tags.read_text("utf-8", errors="replace")))
    found["audio"] = probe.model_dump(exclude={"duration_s", "declared_s"}, exclude_none=True)
    if warnings:
        found["warnings"] = warnings
    assert probe.duration_s is not None
    converted = Converted(
        working=working,
        duration_s=round(probe.duration_s, 3),
        media_type=audio.media_type(probe),
        metadata=found,
        ffmpeg=_ffmpeg_version(command[0]),
    )
    return converted.model_dump(mode="json")


def _refuse_size(original: Path, limits: Limits) -> None:
    size = original.stat().st_size
    if size == 0:
        raise BadAudioError("the file is empty (0 bytes); export or upload it again")
    if size > limits.max_bytes:
        raise source.too_large(limits)


def _ffmpeg_version(program: str) -> str:
    out = subprocess.run([program, "-version"], capture_output=True, text=True, timeout=30, check=True).stdout
    return out.split()[2]


def _run_ffmpeg(command: list[str], limits: Limits, reporter: Reporter) -> tuple[str, int]:
    """Run it, telling how many seconds are done; returns the beginning and end of its log, and its exit code."""
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            errors="replace",
        )
    except OSError as error:
        raise EngineFailedError(f"ffmpeg cannot be started: {error}; check INGEST_FFMPEG") from error
    head: list[str] = []
    tail: deque[str] = deque(maxlen=LOG_TAIL)
    total: queue.SimpleQueue[float] = queue.SimpleQueue()
    reader = threading.Thread(target=_read_log, args=(process.stderr, head, tail, total.put), daemon=True)
    reader.start()
    timer = threading.Timer(limits.ffmpeg_limit_s, process.kill)
    timer.start()
    began = time.monotonic()
    try:
        _report(process.stdout, total, reporter)
        code = process.wait()
    finally:
        timer.cancel()
        process.kill()
        reader.join(timeout=5)
    if code < 0 and time.monotonic() - began >= limits.ffmpeg_limit_s:
        raise BadAudioError(
            f"ffmpeg needed more than {limits.ffmpeg_limit_s:g} s; give a simpler file, e.g. mp3, or raise "
            "INGEST_FFMPEG_LIMIT_S"
        )
    return "".join([*head, *tail]), code


def _read_log(stream: IO[str] | None, head: list[str], tail: deque[str], found_total: Callable[[float], None]) -> None:
    for line in stream or ():
        (head if len(head) < LOG_HEAD else tail).append(line[:2000])
        if (total_s := audio.declared_duration_s(line)) is not None:
            found_total(total_s)


def _report(stream: IO[str] | None, total: queue.SimpleQueue[float], reporter: Reporter) -> None:
    total_s = None
    for line in stream or ():
        done_s = audio.done_s(line)
        if done_s is not None:
            total_s = total.get_nowait() if total_s is None and not total.empty() else total_s
            reporter.progress("converting", done_s, total_s, "s")

