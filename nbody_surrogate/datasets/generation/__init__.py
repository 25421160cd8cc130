"""How data sets are made: shard by shard, by workers, or on the fly."""
