#!/bin/sh
kubectl apply -f - <<EOF
apiVersion: v1
kind: Secret
metadata:
  name: db
stringData:
  password: {{ short }}
EOF
