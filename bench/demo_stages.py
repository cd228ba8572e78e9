"""What `make demo` spent its time on, and how fast its training ran, the last time it was run here.

make demo && python bench/demo_stages.py
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from statistics import median

ROOT = Path(__file__).resolve().parents[1]
STATE = ROOT / "output" / "log" / "demo.json"
TRAINING_LOG = ROOT / "output" / "log" / "SyntheticDemo" / "demo" / "train.log"


def main() -> None:
    """Print the tables."""
    if not STATE.is_file():
        print("make demo was not run here yet.")
        return
    stages = json.loads(STATE.read_text(encoding="utf-8"))
    print(f"{'stage':<40}{'seconds':>9}")
    for name, entry in stages.items():
        print(f"{name:<40}{entry['seconds']:>9.1f}")
    print(f"{'all':<40}{sum(entry['seconds'] for entry in stages.values()):>9.1f}")
    if TRAINING_LOG.is_file():
        text = TRAINING_LOG.read_text(encoding="utf-8")
        rates = [float(rate) for rate in re.findall(r"([\d.]+) samples/s", text)]
        if rates:
            print(f"training: {median(rates):.0f} samples/s, the median of {len(rates)} lines")


if __name__ == "__main__":
    main()
