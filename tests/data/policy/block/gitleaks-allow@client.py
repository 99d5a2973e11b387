TOKEN = "{{ github }}"  # gitleaks:allow
