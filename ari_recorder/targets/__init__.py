"""Where recordings are delivered to. One target = one file; `base.py` is the contract they all keep."""
