kubectl create secret generic db --from-literal=password={{ short }}
