# docker build -t mialib . && docker run --rm -p 8888:8888 mialib
FROM python:3.11-slim-bookworm
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
ENV PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
RUN useradd --create-home --uid 1000 reader
WORKDIR /home/reader/mialib
COPY requirements requirements
# The locked versions; torch from PyTorch's own index, for the CPU alone, which spares 4 GB.
RUN grep --only-matching --extended-regexp '^torch(vision)?==[0-9.]+' requirements/torch.txt \
    | xargs pip install --no-deps --index-url https://download.pytorch.org/whl/cpu \
    && pip install --no-deps --require-hashes --requirement requirements/lock.txt
COPY --chown=reader . .
RUN pip install --no-deps --no-build-isolation --editable .
USER 1000
EXPOSE 8888
CMD ["jupyter", "lab", "--ip=0.0.0.0", "--no-browser", "book"]
