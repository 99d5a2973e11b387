const t = "{{ jwt }}"
