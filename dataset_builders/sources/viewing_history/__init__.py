"""People's own histories, as Netflix, Spotify, YouTube, Letterboxd and Trakt export them. Nothing here has network."""

from .personal_log import read_viewing_history

__all__ = ["read_viewing_history"]
