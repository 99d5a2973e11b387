kubectl create secret generic db --from-literal=password="$PASSWORD" --from-literal=user=${USER_NAME}
