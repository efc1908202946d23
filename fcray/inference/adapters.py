"""Named LoRA adapters beside one base model: load, forget, and choose which one speaks.

PEFT keeps them; safetensors only. Knows nothing of requests.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fcray.errors import UserError
from fcray.inference import voice
from fcray.models import BaseModel, check_adapter


class Adapters:
    """The adapters of one base model, which nobody else attaches any to.

    Attributes
    ----------
    names: Those that are loaded.
    """

    def __init__(self, base: BaseModel) -> None:
        self._base = base
        self._peft: Any = None
        self._voices: voice.Voices | None = None
        self._speaks: str | None = None
        self.names: set[str] = set()

    def load(self, name: str, folder: str | Path) -> None:
        """Load the adapter in `folder` under `name`; nothing changes when it cannot be.

        Raises
        ------
        UserError: The folder holds no adapter, or one for another base.
        """
        import peft
        from safetensors import SafetensorError

        if name in self.names:
            return
        check_adapter(folder)
        try:
            if self._peft is None:
                config = peft.PeftConfig.from_pretrained(str(folder))
                config.inference_mode = True
                self._peft = peft.PeftModel(self._base.model, config, adapter_name=name)
            loaded = self._peft.load_adapter(str(folder), adapter_name=name, use_safetensors=True)
            if loaded.unexpected_keys:  # PEFT only warns
                raise ValueError(f"there is no place for {loaded.unexpected_keys[0]}")
        except (ValueError, RuntimeError, KeyError, SafetensorError) as error:
            self._remove(name)
            reason = " ".join(str(error).splitlines()[:2])
            raise UserError(f"the adapter in {folder} does not fit the base: {reason}") from error
        self._peft.requires_grad_(False).eval()
        self.names.add(name)
        self._listen()

    def unload(self, name: str) -> None:
        """Forget an adapter."""
        if name in self.names:
            self.names.discard(name)
            self._remove(name)

    def _remove(self, name: str) -> None:
        """Take an adapter's layers out of the model, also those of one that failed half-way."""
        if self._peft is not None and name in self._peft.peft_config:
            self._peft.delete_adapter(name)
        if self._peft is not None and not self.names:
            self._peft.unload()
            self._peft = None
        self._listen()

    def _listen(self) -> None:
        """Layers came or went."""
        self._voices = None if self._peft is None else voice.Voices(self._peft)
        self._choose(None)

    def speak(self, name: str | None) -> None:
        """Let an adapter speak from now on; None: the base.

        Raises
        ------
        UserError: No adapter of this name is loaded.
        """
        if name is not None and name not in self.names:
            raise UserError(f"no adapter {name!r} is loaded")
        if name != self._speaks:
            self._choose(name)

    def _choose(self, name: str | None) -> None:
        if self._voices is not None:
            self._voices.speak(name)
        self._speaks = name
