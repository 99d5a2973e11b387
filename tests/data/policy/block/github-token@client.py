TOKEN = "{{ github }}"
