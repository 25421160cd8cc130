"""Files as such: whole or not at all, bounded where they are not trusted, checked beforehand."""
