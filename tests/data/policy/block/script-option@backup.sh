mysqldump --user=u --password={{ password }} db
