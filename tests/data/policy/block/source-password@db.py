connect(user="u", password="{{ strong }}")
