KEY = {{age_split}}
