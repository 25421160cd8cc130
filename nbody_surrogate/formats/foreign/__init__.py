"""Files of other programs: what they hold is read as it stands, what they lack is asked for."""
