KEY = ({{ age_split }})
