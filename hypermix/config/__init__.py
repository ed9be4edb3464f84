"""The config: its model, how it is checked, and the slice of it that each rule may see."""
