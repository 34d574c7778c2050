"""One file per log. Each returns a `RawLog`: what the files say, nothing judged yet."""
