helm install db ./db --set auth.password={{ password }}
