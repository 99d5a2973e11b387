db_password = "{{ password }}"
