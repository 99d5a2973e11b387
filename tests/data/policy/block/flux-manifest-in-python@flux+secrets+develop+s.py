apiVersion: v1
kind: Secret
metadata:
  name: db
stringData:
  note: {{ short }}
